"""STAC items as products: which assets are bands, where they lie, what their values mean. An item is not trusted."""
