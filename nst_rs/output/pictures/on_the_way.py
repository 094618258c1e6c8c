"""A small picture of a map on the way, while it is being computed."""

from dataclasses import dataclass

from nst_rs.output.pictures.preview import webp_uri


@dataclass(frozen=True)
class SmallPicture:
    """The map as it stood after an iteration, small."""

    level: int
    """From 1, the coarsest."""
    iteration: int
    """Of the level, from 1."""
    loss: float | None
    """The objective at the last iteration that ended; None where there was none."""
    webp: bytes
    """The picture, a WebP file."""

    @property
    def uri(self) -> str:
        """The picture as a URI that holds it."""
        return webp_uri(self.webp)

    def __str__(self) -> str:
        """Return when it was taken, in one line."""
        loss = "" if self.loss is None else f", loss {self.loss:.4g}"
        return f"level {self.level}, iteration {self.iteration}{loss}"
