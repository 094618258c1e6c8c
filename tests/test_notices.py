"""The scripts of docs/operations.md that have Prefect tell of failures: what they ask Prefect for is there."""

import re
from pathlib import Path
from uuid import uuid4

import pytest
from prefect.automations import Automation
from prefect.blocks.core import Block

PAGE = Path(__file__).parents[1] / "docs" / "operations.md"
SCRIPTS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # Apprise imports it
STATES = {f"prefect.flow-run.{state}" for state in ("Failed", "Crashed")}


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Automation]:
    """The automations that a script makes: what it would send to a server stays here."""
    automations: list[Automation] = []

    def load(name: str) -> Block:
        assert name == "slack-webhook/failures"
        block = Block()
        block._block_document_id = uuid4()
        return block

    def create(automation: Automation) -> None:
        automations.append(automation)

    monkeypatch.setattr(Block, "save", lambda *_, **__: uuid4())
    monkeypatch.setattr(Block, "load", load)
    monkeypatch.setattr(Automation, "create", create)
    return automations


def run(script: str) -> dict[str, object]:
    names: dict[str, object] = {}
    exec(script, names)  # noqa: S102 - the page's own
    return names


def test_the_page_has_a_script_of_failures_an_address_for_mail_and_a_script_of_silence(made: list[Automation]) -> None:
    failures, mail, silence = SCRIPTS
    run(failures)
    run(mail)
    run(silence)
    assert [automation.name for automation in made] == ["failures", "silence"]
    assert made[0].trigger.expect == STATES
    assert made[1].trigger.expect > STATES | made[1].trigger.after


def test_the_block_that_the_page_names_for_mail_speaks_to_a_mail_server() -> None:
    from apprise.plugins.email import NotifyEmail

    block = run(SCRIPTS[1])["webhook"]
    (server,) = block._apprise_client.servers  # type: ignore[attr-defined]
    assert isinstance(server, NotifyEmail)
    assert (server.secure, server.from_addr[1]) == (True, "maps@example.org")
    assert [address for _, address in server.targets] == ["you@example.org"]
    assert block.get_block_type_slug() == "slack-webhook"  # type: ignore[attr-defined]
