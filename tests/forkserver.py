"""The process that tests fork others from: it has imported the program and TensorFlow, which takes seconds."""

import multiprocessing

FORKING = multiprocessing.get_context("forkserver")
_IMPORTED = ("tests.forked", "nst_rs.executors.dask.executor", "distributed.nanny")


def fork_dasks_workers() -> None:
    """Have Dask fork the workers that this process starts, as it can be set to do; commands of users spawn theirs."""
    import dask
    from distributed import utils

    dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"})
    utils._forkserver_preload_set = True  # else Dask would have its own list imported instead
    FORKING.set_forkserver_preload(list(_IMPORTED))
