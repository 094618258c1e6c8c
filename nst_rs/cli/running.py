"""What every command runs within: messages, errors as one line, libraries that keep quiet."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.console import Console

from nst_rs.cli import terminal
from nst_rs.cli.signals import exit_code, stopped_like_ctrl_c
from nst_rs.config.named_styles import SUFFIX
from nst_rs.config.sections import RunConfig
from nst_rs.errors import NstError
from nst_rs.files.extras import naming_extras
from nst_rs.files.failures import unwritable
from nst_rs.files.quiet import native_notes_hidden


@contextmanager
def errors_as_lines(verbose: bool, interrupted: str = "") -> Iterator[Console]:
    """Turn the program's own errors, and a request to stop, into one line and an exit code.

    Gives the console for messages. What is true after an interruption is said by `interrupted`.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow reads this when it is imported
    with terminal.messages(verbose) as screen, stopped_like_ctrl_c():
        try:
            with naming_extras("this command"):
                yield screen
            terminal.flush()  # else what is still to be written would be lost without a word
        except NstError as error:
            terminal.say(screen, f"error: {error}")
            raise typer.Exit(error.exit_code) from error
        except BrokenPipeError:  # whoever reads the output has seen enough, as `head` has
            raise
        except OSError as error:  # of the terminal, or the file, that the output goes to: files of a run say theirs
            terminal.write_no_more()
            terminal.say(screen, f"error: {unwritable('output', error)}")
            raise typer.Exit(NstError.exit_code) from error
        except KeyboardInterrupt as error:
            terminal.say(screen, ": ".join(filter(None, ("interrupted", interrupted))))
            raise typer.Exit(exit_code(error)) from error


@contextmanager
def preparing(screen: Console, run: RunConfig, what: str = "starting TensorFlow") -> Iterator[None]:
    """Load what `run` needs, which takes seconds: a terminal says `what` meanwhile, and libraries write nothing.

    A scene or style that is not there is told of first. Raises NstError.
    """
    with terminal.waiting(screen, what), native_notes_hidden():
        _check_there(run)
        yield


def _check_there(run: RunConfig) -> None:
    """Raise SceneError or StyleError for a name of which there is no file."""
    from nst_rs.files.locations import is_path
    from nst_rs.scene.listing import files_at
    from nst_rs.style.images import read_style

    for location in run.scene.paths:
        if is_path(location) and not Path(location).exists():
            files_at(location)
    for image in run.style.images:
        if not image.exists() and image.suffix != SUFFIX:
            read_style(image, run.style.size)
