# Every target works on a fresh machine with git, make and Python 3.11 or newer: what it needs goes into .venv first.
# Another Python has a virtual environment of its own: `make test PYTHON=python3.13` uses .venv-python3.13.

PYTHON ?= python3
PYTHONS ?=
CHANGELOG ?=
SERVER ?=
BENCH ?=
INTEROP ?=
FUZZ_SECONDS ?= 600
SOAK_SECONDS ?= 600
CHAOS ?=
BURST ?= 100000
SLOW ?= 100
XDIST ?=
VENV ?= .venv$(if $(filter-out python3,$(PYTHON)),-$(notdir $(PYTHON)))
RUN := $(VENV)/bin/python

.PHONY: all demo test check ruff async types floors items coverage proof proof-servers fuzz mutants chaos soak burst
.PHONY: slow bench bench-report bench-guard bench-scale bench-memory bench-profile docs interop servers servers-newer test-newer
.PHONY: servers-table services-table pythons-newer test-pythons test-services release newcomer
.PHONY: changes clean
.NOTPARALLEL:
.DELETE_ON_ERROR:

all: check test

# Two clients and a server that gets hurt; `make demo SERVER=prosody` has a real one.
demo: $(VENV)/.installed-demo
	@$(RUN) -m trioxmpp demo $(if $(SERVER),--server $(SERVER))

# Every test, those against real servers included; `make test XDIST='-n 2'` runs them in two processes. It fails as well
# if the tests reach a smaller part of the library than before, in per cent of its lines.
REACHED := 97.4
test: $(VENV)/.installed-dev
	@tests/e2e/install.sh --try
	$(RUN) -m pytest -p tests.covered --reach-at-least $(REACHED) $(XDIST)

# The tests against real servers, on newer ones as well.
test-newer: $(VENV)/.installed-dev servers-newer
	@tests/e2e/install.sh --try
	TRIOXMPP_SERVERS=build/servers $(RUN) -m pytest tests/e2e

# The tests of contacts, rooms, conversations, nodes, files and the like on real servers, newer ones included.
test-services: $(VENV)/.installed-dev servers-newer
	@tests/e2e/install.sh --try
	TRIOXMPP_SERVERS=build/servers TRIOXMPP_BENCHES=servers $(RUN) -m pytest tests/im tests/xep $(XDIST)

# The unit tests on every Python that is here, one of each minor version, and their table in README.md. Newer ones are
# unpacked from Debian's suites. `make test-pythons PYTHONS='3.14 /usr/local/bin/python3.12'` has these only.
test-pythons: $(RUN) pythons-newer
	$(RUN) -m tests.pythons $(if $(XDIST),--pytest "$(XDIST)") $(PYTHONS)

# What a machine can say about the code without running it.
check: ruff async types floors

ruff: $(VENV)/.installed-dev
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check

# The rules that ruff has not, but for those about asyncio, those that want a checkpoint on every path, and the one that
# looks for a call of `task_status.started` and does not see where it is passed on. In tests not those that tests break
# on purpose, to see what comes of it.
ASYNC_IN_TESTS := ASYNC102,ASYNC103,ASYNC106,ASYNC118,ASYNC119,ASYNC122,ASYNC125,ASYNC231,ASYNC232,ASYNC400
ASYNC_RULES := $(ASYNC_IN_TESTS),ASYNC101,ASYNC104,ASYNC111,ASYNC112,ASYNC113,ASYNC114,ASYNC120,ASYNC121,ASYNC123
ASYNC_RULES := $(ASYNC_RULES),ASYNC124,ASYNC401,ASYNC900
# It reads each file several times, in one process, so it is started once for each processor; and every rule is about
# one of these words, so files without any of them need not be read.
ASYNC_WORDS := async|await|trio\b|BaseException|ExceptionGroup|Cancelled|except *(\*|:)
ASYNC = xargs -P $$(nproc 2>/dev/null || echo 2) -n 24 $(RUN) -m flake8_async
async: $(VENV)/.installed-dev
	@grep -rlE --include='*.py' '$(ASYNC_WORDS)' trioxmpp docs | $(ASYNC) --enable=$(ASYNC_RULES) \
	  --startable-in-context-manager=run,resume,serve,live,listen,watch,_accept
	@grep -rlE --include='*.py' '$(ASYNC_WORDS)' tests | $(ASYNC) --enable=$(ASYNC_IN_TESTS)

# Two checkers, of which mypy reads the programs of README.md and docs as well; and every type that the library shows is
# written down, so that other checkers need not guess. pyright looks for the package in the Python that it finds first.
types: $(VENV)/.installed-dev
	$(RUN) -m mypy
	$(RUN) -m tests.docs.typed_programs
	$(RUN) -m pyright --pythonpath $(RUN) trioxmpp
	@echo "pyright --verifytypes trioxmpp" && export PATH="$(abspath $(VENV))/bin:$$PATH" && \
	  found=$$(pyright --ignoreexternal --verifytypes trioxmpp) || { echo "$$found" | grep -A 1 -E 'could be|override|has unknown'; exit 1; }

floors: $(VENV)/.installed-dev
	$(RUN) -m pytest -q tests/test_floors.py tests/test_private_names.py tests/test_english.py tests/test_repository.py

# The items of acceptance (tests/items.txt) that no test is marked with.
items: $(VENV)/.installed-dev
	@$(RUN) -m tests.items

# The lines that the tests do not reach, without real servers and the proof.
coverage: $(VENV)/.installed-dev
	$(RUN) -m pytest -p tests.covered --unreached $(XDIST) --ignore tests/e2e --ignore tests/proof tests

# The properties again, with far more examples: for the night.
proof: $(VENV)/.installed-dev
	TRIOXMPP_PROOF=1 $(RUN) -m pytest -o faulthandler_timeout=0 tests/proof tests/im/omemo/test_omemo_kills.py \
	  tests/im/test_timeline_programs.py tests/im/test_room_programs.py tests/im/test_large_archive.py \
	  tests/xep/muc/test_chaos.py

# Hostile input for all that reads what a peer, a proxy or a disk gives; `make fuzz FUZZ_SECONDS=60` takes a minute.
fuzz: $(VENV)/.installed-dev
	$(RUN) -m tests.fuzz --seconds $(FUZZ_SECONDS)

# Small defects, planted one by one in a copy of the library: the tests that are named for each have to fail.
mutants: $(VENV)/.installed-dev
	$(RUN) -m tests.mutants

# A bot killed twenty times within 2,000 messages each way and poison, on each real server; `make chaos SERVER=prosody`
# takes one, and `make chaos CHAOS=--timeline` has the bot read a timeline.
chaos: $(VENV)/.installed-dev
	@tests/e2e/install.sh --try
	$(RUN) -m tests.chaos $(if $(SERVER),--server $(SERVER)) $(CHAOS)

# Random programs on a real server: the timelines of three clients, half of them with a forger, miss and double nothing;
# and after chaos in three rooms each of six clients knows what the server knows.
proof-servers: $(VENV)/.installed-dev
	@tests/e2e/install.sh --try
	for server in $(or $(SERVER),prosody ejabberd); do \
	  $(RUN) -m tests.timelines --server $$server && $(RUN) -m tests.roomchaos --server $$server || exit 1; done

# Good messages and poison over a wire that is cut, for SOAK_SECONDS: nothing may be lost or doubled, and memory stays
# flat. On the embedded server, which sends more kinds of poison than `make soak SERVER=prosody`.
soak: $(VENV)/.installed-dev
	@[ -z "$(SERVER)" ] || tests/e2e/install.sh --try
	$(RUN) -m tests.soak --seconds $(SOAK_SECONDS) $(if $(SERVER),--server $(SERVER))

# 100,000 messages at once to the bot of the README, on real servers, with and without stream management, and with the
# limits of their packages; `make burst BURST=10000` is shorter.
burst: $(VENV)/.installed-dev
	@tests/e2e/install.sh --try
	$(RUN) -m tests.soak burst --count $(BURST)
	$(RUN) -m tests.soak burst --count $(BURST) --unmanaged
	$(RUN) -m tests.soak burst --count $(BURST) --limited

# 100 messages of 100 kB through the limits of the packages of real servers. That takes 17 minutes on Prosody, which lets
# 10 kB a second in, and 56 on ejabberd, with 3 kB; `make slow SLOW=10` takes a tenth.
slow: $(VENV)/.installed-dev
	@tests/e2e/install.sh --try
	$(RUN) -m tests.soak slow --count $(SLOW) $(if $(SERVER),--server $(SERVER))

# Clients of others beside ours, on real servers: slixmpp in an environment of its own, profanity in a terminal, and
# go-sendxmpp. `make interop INTEROP='-k rooms'` runs some of these tests.
SLIXMPP := 1.17.0
interop: $(VENV)/.installed-dev build/interop/slixmpp/.installed-$(SLIXMPP)
	@tests/e2e/install.sh
	@tests/interop/install.sh
	TRIOXMPP_INTEROP=1 $(RUN) -m pytest tests/interop $(INTEROP)

# It is made without pip, which half of the machines lack for it; the pip of ours installs into it.
build/interop/slixmpp/.installed-%: | $(RUN)
	@echo "installing slixmpp $* into $(@D)"
	@$(RUN) -m venv --clear --without-pip $(@D)
	@$(RUN) -m pip --python $(@D)/bin/python install --quiet --disable-pip-version-check slixmpp==$* slixmpp-omemo==2.2.0 aiohttp
	@touch $@

# What a stanza costs, here, in other libraries, and at the limit; `make bench BENCH=--quick` takes a minute or two.
bench: $(VENV)/.installed-bench
	$(RUN) -m tests.benchmarks $(BENCH)

# A page of pictures, build/bench.html, of what `make bench` has measured; `make bench-report BENCH=--docs` also writes
# the tables of docs/performance.md.
bench-report: $(VENV)/.installed-bench
	$(RUN) -m tests.benchmarks.plots $(BENCH)

# What has become slower than in tests/benchmarks/baseline.json by more than 10 %, measured by the bare limit of the same
# run; `make bench-guard BENCH=--store` makes the last `make bench` the baseline.
bench-guard: $(VENV)/.installed-bench
	$(RUN) -m tests.benchmarks.guard $(BENCH)

# 5,000 sessions in one process, and what one more session, handler, request or subscription costs.
bench-scale: $(VENV)/.installed-bench
	$(RUN) -m tests.benchmarks.scale $(BENCH)

# Where the memory of an idle session is, by parts of the library.
bench-memory: $(VENV)/.installed-bench
	$(RUN) -m tests.benchmarks.memory $(BENCH)

# Where the time goes: 100,000 stanzas each way, and requests.
bench-profile: $(VENV)/.installed-bench
	$(RUN) -m tests.benchmarks.profile $(BENCH)

# The book, and what it must have: links that lead somewhere, each public name, words that are spelt right. Offline.
docs: $(VENV)/.installed-docs
	$(RUN) -m sphinx -q -W --keep-going docs build/docs
	$(RUN) -m tests.docs.built build/docs
	$(RUN) -m tests.english README.md docs
	$(VENV)/bin/codespell --ignore-words-list anull README.md docs trioxmpp

# The servers that `make test` runs against, from Debian; as root.
servers:
	tests/e2e/install.sh

# Newer ones, from newer suites of Debian, unpacked into build/servers; nothing is installed.
servers-newer:
	tests/e2e/newer.sh

# Pythons from newer suites of Debian, unpacked into build/pythons, each with the OpenSSL of its suite.
pythons-newer:
	tests/pythons/newer.sh

# A wheel and an sdist in dist/, checked, and tried in empty environments of each Python that is here. With
# CHANGELOG=yes, the files of changes/ become a section of CHANGELOG.md first.
release: $(VENV)/.installed-release
	@[ -z "$(CHANGELOG)" ] || $(RUN) -m towncrier build --yes
	rm -rf dist
	$(RUN) -m build
	$(RUN) -m twine check --strict dist/*
	$(RUN) -m tests.pythons.release $(PYTHONS)

# A newcomer's first minutes, as README.md tells them, on a fresh Debian 12 and 13, as root and as an ordinary user; `make
# newcomer NEWCOMER=here` takes this machine. It takes root for the fresh ones.
NEWCOMER ?=
newcomer: $(RUN)
	rm -f build/newcomer/*.whl
	$(RUN) -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir build/newcomer .
	tests/newcomer/run.sh build/newcomer/*.whl $(NEWCOMER)

# What the next release has to say about itself.
changes: $(VENV)/.installed-release
	@$(RUN) -m towncrier build --draft

# The table in docs/servers.md, each cell by a test that ran just now.
servers-table: $(VENV)/.installed-dev servers-newer
	@tests/e2e/install.sh
	TRIOXMPP_SERVERS=build/servers $(RUN) -m pytest tests/e2e -m cell -p tests.e2e.record --record build/servers.json
	$(RUN) -m tests.e2e.table build/servers.json

# The tables of services in docs/servers.md, likewise.
services-table: $(VENV)/.installed-dev servers-newer
	@tests/e2e/install.sh
	TRIOXMPP_SERVERS=build/servers TRIOXMPP_BENCHES=servers $(RUN) -m pytest tests/im tests/xep \
	  -p tests.e2e.record_services --record build/services.json
	$(RUN) -m tests.e2e.services_table build/services.json

clean:
	rm -rf .venv .venv-* $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/.installed-%: pyproject.toml | $(RUN)
	@echo "installing what 'make $*' needs into $(VENV)"
	@$(RUN) -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@

# Debian keeps half of venv, the part that brings pip, in a package of its own, python3-venv. As root, that is installed.
# For others there is the pip of the system, or else that of another package of Debian, which apt fetches for anybody. An
# interrupted attempt must not look like a success.
$(RUN):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; try: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { \
	  [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null || { \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends python3-venv >/dev/null; }; }
	@if $(PYTHON) -c 'import ensurepip' 2>/dev/null; then $(PYTHON) -m venv --clear $(VENV) || { rm -rf $(VENV); exit 1; }; exit; fi; \
	scratch=$$(mktemp -d) && trap 'rm -rf "$$scratch"' EXIT && $(PYTHON) -m venv --clear --without-pip $(VENV) && { \
	  $(PYTHON) -m pip --version >/dev/null 2>&1 || { \
	    (cd "$$scratch" && apt-get -qq download python3-pip-whl && dpkg-deb -x python3-pip-whl_*.deb .) >/dev/null && \
	    PYTHONPATH=$$(echo "$$scratch"/usr/share/python-wheels/pip-*.whl) && export PYTHONPATH; }; } && \
	$(PYTHON) -m pip --python $(RUN) install --quiet --disable-pip-version-check pip || { \
	  rm -rf $(VENV); echo "this Python cannot make virtual environments; as root: apt-get install python3-venv"; exit 1; }
