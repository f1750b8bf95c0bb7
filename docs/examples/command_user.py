"""List the ad-hoc commands of an entity, or run one, with the values of its form as name=value.

XMPP_PASSWORD=secret python command_user.py romeo@example.org bot@example.org/1 greeting name=Romeo
"""

import sys

import trioxmpp
from trioxmpp import XMPPError
from trioxmpp.xep.adhoc import list_commands, run_command


async def main(jid, password, responder, node=None, *values, **options):
    async with trioxmpp.connect(jid, password, **options) as client:
        try:
            if node is None:
                for item in await list_commands(client, responder):
                    print(item.node, "-", item.name)
                return
            async with run_command(client, node, on=responder) as command:
                if values and (form := command.form) is not None:
                    for value in values:
                        name, _, text = value.partition("=")
                        form[name] = text
                    await command.complete()
                print(command.status, *(note.text for note in command.notes))
        except XMPPError as error:
            sys.exit(f"the command failed: {error}")


if __name__ == "__main__":
    trioxmpp.run(main)
