"""Short contest programs with ten quick tests each; three in four are right."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

PROGRAMS: list[tuple[str, str, Callable[[random.Random], str]]] = [
    (
        "n = int(input())\na = list(map(int, input().split()))\nprint(sum(a) * {k})",
        "n = int(input())\na = list(map(int, input().split()))\nprint(sum(a) * {k} + (n > 4))",
        lambda rng: _numbers(rng, rng.randint(1, 30)),
    ),
    (
        "import sys\n\nfor line in sys.stdin:\n    print(' '.join(reversed(line.split())), {k})",
        "import sys\n\nfor line in sys.stdin:\n    print(' '.join(line.split()), {k})",
        lambda rng: "".join(f"w{rng.randint(0, 99)} w{rng.randint(0, 99)} z\n" for _ in range(5)),
    ),
    (
        "from collections import Counter\n\ninput()\ncounts = Counter(input().split())\n"
        "for word, count in sorted(counts.items()):\n    print(word, count + {k})",
        "from collections import Counter\n\ninput()\ncounts = Counter(input().split())\n"
        "for word, count in sorted(counts.items()):\n    print(count + {k}, word)",
        lambda rng: _numbers(rng, 20, 5),
    ),
    (
        "import math\n\nn = int(input())\na = list(map(int, input().split()))\nprint(math.gcd(*a) + {k})\n"
        "print(*sorted(a, reverse=True))",
        "import math\n\nn = int(input())\na = list(map(int, input().split()))\nprint(math.gcd(*a) + {k})\n"
        "print(*sorted(a))",
        lambda rng: _numbers(rng, 12),
    ),
    (
        "def solve(n):\n    sieve = [True] * (n + 1)\n    for i in range(2, int(n ** 0.5) + 1):\n        if sieve[i]:\n"
        "            sieve[i * i :: i] = [False] * len(sieve[i * i :: i])\n    return sum(sieve[2:]) + {k}\n\n\n"
        "if __name__ == '__main__':\n    input()\n    print(*map(solve, map(int, input().split())), sep='\\n')",
        "input()\nprint(*(int(n) // 2 + {k} for n in input().split()), sep='\\n')",
        lambda rng: _numbers(rng, 5, 2_000),
    ),
]


def _numbers(rng: random.Random, count: int, most: int = 10**6) -> str:
    return f"{count}\n{' '.join(str(rng.randint(2, most)) for _ in range(count))}\n"


def samples(count: int, seed: int = 1) -> list[tuple[str, dict[str, Any]]]:
    """``count`` pairs of a response with a program and its ten stdin tests; the expected outputs are the right ones."""
    rng = random.Random(seed)
    found = []
    for index in range(count):
        right, wrong, make_input = PROGRAMS[index % len(PROGRAMS)]
        k = rng.randint(1, 1_000)
        inputs = [make_input(rng) for _ in range(10)]
        outputs = [_output(right.replace("{k}", str(k)), text) for text in inputs]
        program = (right if rng.random() < 0.75 else wrong).replace("{k}", str(k))
        response = f"<think>\n{'hm, ' * 500}\n</think>\n\n```python\n{program}\n```"
        found.append((response, {"kind": "stdin", "inputs": inputs, "outputs": outputs}))
    return found


def _output(program: str, text: str) -> str:
    """What one of ``PROGRAMS`` prints; they are ours, so they run right here."""
    from tests.bench.peers import run_in_this_process

    return run_in_this_process(program, text)
