"""Values written for people."""


def duration(seconds: float) -> str:
    """Return seconds as people say them.

    >>> duration(8.2), duration(75), duration(7384)
    ('8 s', '1 min 15 s', '2 h 03 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def counted(count: int, noun: str) -> str:
    """Return a number of things.

    >>> counted(1, "window"), counted(2, "window")
    ('1 window', '2 windows')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def in_bytes(size: float) -> str:
    """Return a number of bytes as people say it.

    >>> in_bytes(3.24e9), in_bytes(2.7e6), in_bytes(900)
    ('3.2 GB', '2.7 MB', '0.9 kB')
    """
    for unit, name in ((1e9, "GB"), (1e6, "MB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size / 1e3:.1f} kB"


def operations(flops: float) -> str:
    """Return a number of floating point operations as people say it.

    >>> operations(2.34e13), operations(3.1e10)
    ('23.4 TFLOP', '31.0 GFLOP')
    """
    return f"{flops / 1e12:.1f} TFLOP" if flops >= 1e12 else f"{flops / 1e9:.1f} GFLOP"
