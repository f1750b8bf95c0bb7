"""A chain of filters by itself: order, arguments, registration."""

from __future__ import annotations

import pytest
import trio

from trioxmpp.stream import AppFilter, Filter


@pytest.fixture(params=[Filter, AppFilter])
def chain(request):
    return request.param()


def appends(letter):
    return lambda text: text + letter


def test_an_empty_chain_passes_everything(chain) -> None:
    stanza = object()
    assert chain.filter(stanza) is stanza


def test_each_function_gets_what_the_one_before_it_returned(chain) -> None:
    for letter in "abc":
        chain.register(appends(letter), 0)
    assert chain.filter("") == "abc"


def test_functions_run_by_order_and_then_by_registration(chain) -> None:
    for letter, order in [("c", 1), ("d", 1), ("a", -7), ("b", 0), ("e", 1)]:
        chain.register(appends(letter), order)
    assert chain.filter("") == "abcde"


def test_orders_may_be_anything_that_can_be_compared() -> None:
    chain: Filter[str] = Filter()
    chain.register(appends("b"), ("im", 2))
    chain.register(appends("a"), ("im", 1))
    assert chain.filter("") == "ab"


def test_an_application_need_not_give_an_order() -> None:
    """Without one it is 0: what is given explicitly stands on either side, whichever was registered first."""
    chain: AppFilter[str] = AppFilter()
    chain.register(appends("e"), 1)
    chain.register(appends("b"))
    chain.add(appends("c"))
    with chain.context_register(appends("d")):
        chain.register(appends("a"), -1)
        assert chain.filter("") == "abcde"


def test_a_service_has_to_give_one() -> None:
    with pytest.raises(TypeError, match="order"):
        Filter().register(appends("a"))


def test_none_ends_the_chain_at_once(chain) -> None:
    called = []
    chain.register(appends("a"), 0)
    chain.register(lambda text: None, 1)
    chain.register(called.append, 2)
    assert chain.filter("") is None
    assert not called


def test_further_arguments_reach_each_function_unchanged(chain) -> None:
    seen = []

    def note(stanza, *args, **kwargs):
        seen.append((args, kwargs))
        return stanza

    chain.register(note, 0)
    chain.register(note, 1)
    chain.filter("x", 1, "two", three=3)
    assert seen == [((1, "two"), {"three": 3})] * 2


def test_one_function_may_be_registered_twice_and_leaves_once(chain) -> None:
    function = appends("a")
    first, second = chain.register(function, 0), chain.register(function, 0)
    assert first != second
    chain.unregister(first)
    assert chain.filter("") == "a"
    chain.unregister(second)
    assert chain.filter("") == ""


def test_a_registration_leaves_its_own_chain_and_only_once(chain) -> None:
    token = chain.register(appends("a"), 0)
    with pytest.raises(ValueError, match="no such filter"):
        type(chain)().unregister(token)
    chain.unregister(token)
    with pytest.raises(ValueError, match="no such filter"):
        chain.unregister(token)


def test_a_malformed_registration_is_refused(chain) -> None:
    with pytest.raises(ValueError, match="no such filter"):
        chain.unregister(object())


def test_a_block_registers_and_unregisters(chain) -> None:
    with chain.context_register(appends("a"), 0):
        assert chain.filter("") == "a"
    assert chain.filter("") == ""


def test_a_block_needs_an_order_only_where_register_does() -> None:
    app: AppFilter[str] = AppFilter()
    with app.context_register(appends("b")), app.context_register(appends("a"), -1):
        assert app.filter("") == "ab"
    with pytest.raises(TypeError, match="order"):
        Filter().context_register(appends("a"))


def test_a_block_swallows_nothing(chain) -> None:
    error = LookupError("of the block")
    with pytest.raises(LookupError) as raised, chain.context_register(appends("a"), 0):
        raise error
    assert raised.value is error
    assert chain.filter("") == ""


def test_a_decorator_registers_and_leaves_the_function_as_it_is() -> None:
    chain: AppFilter[str] = AppFilter()

    @chain.add
    def shout(text: str) -> str:
        return text.upper()

    assert shout("a") == "A"
    assert chain.filter("b") == "B"


def test_an_async_function_is_refused(chain) -> None:
    async def slow(stanza):
        await trio.lowlevel.checkpoint()
        return stanza

    with pytest.raises(TypeError, match="plain function"):
        chain.register(slow, 0)
    assert chain.filter("") == ""


def test_a_chain_may_be_changed_by_its_own_functions(chain) -> None:
    def once(text):
        chain.unregister(token)
        chain.register(appends("!"), 0)
        return text + "a"

    token = chain.register(once, 0)
    chain.register(appends("b"), 0)
    assert chain.filter("") == "ab"
    assert chain.filter("") == "b!"
