"""Kernel names made readable. They are for people: tables keep the names as they were reported."""

import re

MOST_SHOWN = 120
"""Longest short name, in characters."""
_LONGEST_READ = 16_384
_GENERIC = frozenset({
    "device_kernel", "Kernel", "Kernel2", "elementwise_kernel", "vectorized_elementwise_kernel",
    "unrolled_elementwise_kernel", "reduce_kernel", "multi_tensor_apply_kernel",
})  # fmt: skip
"""Kernels that say nothing without the first type they are made for."""
_TYPE = re.compile(r"[A-Za-z_]\w*(?:::[A-Za-z_]\w*)*")
_DULL = frozenset({
    "int", "unsigned", "bool", "long", "float", "char", "void", "true", "false", "const",
    "enable_sm90_or_later", "flash::enable_sm90_or_later", "at::native::gpu_kernel_impl_nocast",
    "at::native::gpu_kernel_impl", "at::native::TensorListMetadata", "TensorListMetadata",
    "at::native::ReduceOp",
})  # fmt: skip


def short_name(name: str) -> str:
    """A kernel's name without return type, template arguments and parameters.

    Of a mangled name the qualified name is read (Itanium C++ ABI, 5.1.2). What cannot be read is
    cut and nothing else. Different kernels may share a short name.
    """
    text = name[:_LONGEST_READ].strip()
    text = _qualified(text) or text
    text = text.replace("(anonymous namespace)::", "").replace("<unnamed>::", "")
    text = text.removeprefix("void ")
    head, arguments = _split(text)
    if head.rpartition("::")[2] in _GENERIC and (inner := _first_type(arguments)):
        head = f"{head}<{inner}>"
    head = head.strip() or text
    return head if len(head) <= MOST_SHOWN else head[: MOST_SHOWN - 3] + "..."


def _split(text: str) -> tuple[str, str]:
    """The name before its template arguments or parameters, and all that follows."""
    places = [place for mark in "<(" if (place := text.find(mark)) > 0]
    cut = min(places, default=len(text))
    return text[:cut], text[cut:]


def _first_type(arguments: str) -> str:
    """The first type among template arguments that says something."""
    if not arguments.startswith("<"):
        return ""
    for found in _TYPE.finditer(arguments):
        if found[0] not in _DULL:
            return found[0].rpartition("::")[2]
    return ""


def _qualified(name: str) -> str:
    """The names that a mangled name begins with, joined; empty if it is not mangled."""
    if not name.startswith("_Z"):
        return ""
    place = 3 if name.startswith("_ZN") else 2
    parts: list[str] = []
    while number := re.match(r"[1-9]\d{0,3}", name[place : place + 4]):
        begin = place + len(number[0])
        place = begin + int(number[0])
        if place > len(name):
            return ""
        parts.append(name[begin:place])
    kept = [part for part in parts if not part.startswith("_GLOBAL__N_")]
    return "::".join(kept)
