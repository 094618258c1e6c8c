"""The flows under the names that they had before 0.2, for deployments and scripts that start in a checkout.

They are not in the wheel: many who use Prefect have a folder ``flows`` of their own. The wheel has ``nst_rs_flows``,
and so has the checkout.
"""
