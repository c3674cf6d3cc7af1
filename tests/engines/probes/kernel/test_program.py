"""Recipes to programs: what the kernel's verifier takes, and what is refused before it sees it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from leaktui.engines.probes.kernel import bpf
from leaktui.engines.probes.kernel.program import MOST_FRAMES, MOST_TEXT, compile_sites, counter_bytes
from leaktui.engines.probes.kernel.system_call import KernelRefused
from leaktui.engines.probes.recipe import Recipe, Register, Site, Text, Word

A = Word("a", Register.RAX)
CHAIN = (A, *(Word(f"next{index}", f"next{index - 1}" if index else "a", 8) for index in range(30)))

RECIPES = {
    "nothing": Recipe(),
    "every register": Recipe(tuple(Word(register.name, register) for register in Register)),
    "a chain of words": Recipe(CHAIN),
    "a word by another name": Recipe((A, Word("b", "a"))),
    "tested": Recipe((A,), only_if="a"),
    "tested far in": Recipe(CHAIN, only_if="next29", at_least=1 << 63),
    "tested against what fits": Recipe((A,), only_if="a", at_least=(1 << 31) - 1),
    "below the stack": Recipe((Word("w", Register.RSP, -8),)),
    "text by header": Recipe((A,), (Text("t", "a", 16, 1),), 1),
    "text at a register": Recipe((), (Text("t", Register.RDI, 0, 77),)),
    "text by words": Recipe((A, Word("n", Register.RBX)), (Text("t", "a", None, MOST_TEXT, "n"),)),
    "text by a register and a word": Recipe((A,), (Text("t", Register.RBX, None, 8, "a"),)),
    "one frame": Recipe(frames=1),
    "all frames": Recipe(frames=MOST_FRAMES),
    "everything": Recipe(CHAIN, tuple(Text(f"t{n}", "a", n, 256) for n in range(8)), 64, "next3", 1 << 40),
}


def site(recipe: Recipe, address: int = 0x401000) -> Site:
    return Site("event", "main.f", address, address - 0x400000, 0x55, recipe)


@pytest.fixture
def maps(probes_permitted: None) -> Iterator[tuple[int, int]]:
    """Descriptors of a ring and of counters for many."""
    ring, counters = bpf.create_ring_buffer(1 << 16), bpf.create_array(counter_bytes(100))
    yield ring, counters
    os.close(ring)
    os.close(counters)


@pytest.mark.root
@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_the_verifier_takes_it(maps: tuple[int, int], recipe: Recipe) -> None:
    ring, counters = maps
    os.close(bpf.load_program(compile_sites([site(recipe)], ring=ring, counters=counters)))


@pytest.mark.root
def test_the_verifier_takes_many_sites_of_many_recipes_at_once(maps: tuple[int, int]) -> None:
    ring, counters = maps
    recipes = [*RECIPES.values(), *RECIPES.values()]
    sites = [site(recipe, (1 << 47) - 64 * index) for index, recipe in enumerate(recipes * 3)]
    os.close(bpf.load_program(compile_sites(sites, ring=ring, counters=counters)))


@pytest.fixture
def ticking() -> Iterator[list[int]]:
    """Signals to this process, a thousand a second; those that came."""
    came: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, _: came.append(number))
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    yield came
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.root
def test_a_signal_does_not_make_the_verifier_give_up(maps: tuple[int, int], ticking: list[int]) -> None:
    ring, counters = maps
    sites = [site(Recipe((A,), frames=100 + index), 0x401000 + 64 * index) for index in range(10)]
    code = compile_sites(sites, ring=ring, counters=counters)
    del ticking[:]
    os.close(bpf.load_program(code))
    assert ticking


@pytest.mark.root
def test_what_the_verifier_says_is_in_the_error(probes_permitted: None) -> None:
    endless = bytes.fromhex("bf16000000000000 7960000000000000")  # it neither ends nor returns anything
    with pytest.raises(KernelRefused, match="the verifier said: ") as caught:
        bpf.load_program(endless)
    assert caught.value.log
    assert caught.value.call == "a BPF program"


@pytest.mark.parametrize(
    ("recipe", "complaint"),
    [
        (Recipe((Word("b", "a", 8),)), "'a', which is not read before"),
        (Recipe((Word("b", "c", 8), Word("c", Register.RAX))), "'c', which is not read before"),
        (Recipe((A, A)), "two words are called a"),
        (Recipe((A,), only_if="b"), "tests 'b'"),
        (Recipe((A,), (Text("t", "b", 0, 8),)), "'b', which is not read before"),
        (Recipe((A,), (Text("t", "a", None, 8, "n"),)), "'n', which is not read before"),
        (Recipe((A,), (Text("t", "a", None, 8),)), "'', which is not read before"),
        (Recipe((A,), (Text("t", "a", 0, 0),)), "limit of 0 bytes"),
        (Recipe((A,), (Text("t", "a", 0, MOST_TEXT + 1),)), "limit of 4097 bytes"),
        (Recipe(frames=-1), "-1 frames"),
        (Recipe(frames=MOST_FRAMES + 1), "257 frames"),
        (Recipe((A,), tuple(Text(f"t{n}", "a", 0, 8) for n in range(9))), "too much"),
        (Recipe(tuple(Word(f"w{n}", Register.RAX) for n in range(65))), "too much"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_recipe_that_makes_no_sense_is_refused(recipe: Recipe, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        compile_sites([site(recipe)], ring=3, counters=4)


def test_two_sites_at_one_address_are_refused() -> None:
    with pytest.raises(ValueError, match="two sites at one address"):
        compile_sites([site(Recipe()), site(Recipe((A,)))], ring=3, counters=4)
