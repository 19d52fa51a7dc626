# SPDX-License-Identifier: Apache-2.0
"""What the verifier has to say of each known mistake of a CUDA or Metal kernel, and small sets of
cases that still have every dtype, layout, value family and kind of size."""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Mapping

from kernelcoder.task import Case, Task

SMALL = 1 << 12  # elements of a case
_UNWRITTEN = "not written|depends on what the output buffer held"
_VARIES = "race|differs between identical runs|NaN where|infinity where|wrong values|left out"
_UNSTABLE = f"{_VARIES}|{_UNWRITTEN}"
_OUTSIDE = "^runtime_error.*outside of a buffer"
_RACE = f"^incorrect.*(?:{_UNSTABLE})"
_ROUGH = "^incorrect.*(?:inaccurate|scaled|wrong values|left out)"
_VALUES = "^incorrect.*(?:wrong values|swapped|scaled|inaccurate|shifted|left out|zero|NaN where)"

# Name of a mistake -> what "status: reason" has to match.
EXPECTED: Mapping[str, str] = {
    "adds_epsilon": _ROUGH,
    "adds_in_half": _ROUGH,
    "ambiguous_max": "^compile_error.*max",
    "angle_in_half": _ROUGH,
    "assumes_alignment": "^runtime_error.*misaligned",
    "base_two": _VALUES,
    "by_reciprocal_root": "^incorrect.*NaN where",
    "calls_erf": "^compile_error.*erf",
    "clamps": "^incorrect.*infinity is expected",
    "divides_by_the_block": _VALUES,
    "divides_by_the_threads": _VALUES,
    "eps_outside_root": "^incorrect.*(?:eps|inaccurate|scaled)",
    "every_thread_adds": f"^incorrect.*(?:{_UNSTABLE})",
    "first_batch_only": f"^incorrect.*(?:{_UNWRITTEN})",
    "fixed_grid": f"(?:^incorrect.*(?:{_UNWRITTEN})|{_OUTSIDE})",
    "forgets_the_mean": "^incorrect.*scaled",
    "gates_the_other": "^incorrect.*swapped",
    "grid_of_threadgroups": f"^incorrect.*(?:{_UNWRITTEN})",
    "half_accumulator": f"(?:{_ROUGH})|^incorrect.*(?:infinity|overflow)",
    "half_of_the_lanes": _VALUES,
    "ignores_base": "^incorrect.*base ignored",
    "ignores_bias": "^incorrect.*bias ignored",
    "ignores_strides": "^incorrect.*strides .*ignored",
    "ignores_weight": "^incorrect.*weight ignored",
    "in_place": f"^incorrect.*(?:{_UNSTABLE})",
    "interleaved": _VALUES,
    "is_mean": "^incorrect.*scaled",
    "leaky": "^incorrect.*negative",
    "loses_the_k_tail": "^incorrect.*last terms",
    "loses_the_tail": "^incorrect.*(?:partial block|not written|last terms)",
    "no_barrier_after_loading": _RACE,
    "no_barrier_after_the_store": _RACE,
    "no_barrier_before_the_next_tile": _RACE,
    "no_bounds_check": _OUTSIDE,
    "no_cast_to_bfloat": "^compile_error.*bfloat",
    "no_max_subtraction": "^incorrect.*(?:NaN where|infinity)",
    "no_zeros_past_k": "^runtime_error.*reads outside of a buffer",
    "one_element_per_thread": _OUTSIDE,
    "one_pass_variance": "^incorrect.*(?:wrong values|NaN where|inaccurate)",
    "one_past_the_end": _OUTSIDE,
    "one_past_the_row": _OUTSIDE,
    "one_simdgroup_of_the_threadgroup": _VALUES,
    "one_warp_of_the_block": _VALUES,
    "overflows": "^incorrect.*(?:NaN where|infinity|left out|inaccurate)",
    "part_of_a_simdgroup": f"(?:{_ROUGH})|{_RACE}",
    "returns_nothing_for_no_terms": "^incorrect.*another shape",
    "rounds_the_grid_down": f"^incorrect.*(?:{_UNWRITTEN}|NaN where)|^runtime_error.*launch",
    "rounds_the_grid_up": _OUTSIDE,
    "rows_in_x": f"^incorrect.*(?:{_UNSTABLE})",
    "scratch_used_again_too_early": _RACE,
    "some_threads_reach_the_barrier": f"^incorrect.*(?:barrier|{_UNSTABLE})",
    "squares": _VALUES,
    "starts_at_zero": "^incorrect.*zero",
    "sum_of_one_warp": _VALUES,
    "swallows_nan": "^incorrect.*NaN of the input is swallowed",
    "tanh_form": "^incorrect.*inaccurate",
    "transposes_the_block": _VALUES,
    "turns_backwards": _VALUES,
    "writes_past_the_row": _OUTSIDE,
}

# Those that show in values alone, on any machine; the others are for an emulator to see.
IN_VALUES = frozenset(kernel for kernel, said in EXPECTED.items() if said in (_ROUGH, _VALUES))


def few(task: Task) -> Task:
    """The task with the small ones of its hidden cases, of which each adds a dtype with its layout,
    a family of values in 32 or in 16 bits, or a class of sizes."""

    def holdout(rng: random.Random) -> tuple[Case, ...]:
        seen: set[object] = set()
        kept = []
        for case in task.holdout(rng):
            size = case.name.split("-")[2] if case.name.startswith("hidden-") else ""
            marks = {(case.dtype, case.layout), (case.values, case.dtype == "f32"), size}
            if max(map(math.prod, case.shapes.values())) <= SMALL and not marks <= seen:
                seen |= marks
                kept.append(case)
        return tuple(kept)

    return dataclasses.replace(task, holdout=holdout, digest=f"{task.digest}-few")
