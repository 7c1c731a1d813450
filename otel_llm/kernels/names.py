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


_SKIPPED = re.compile(r"L[a-z]n?\d+E|[ST][0-9A-Z]*_")
"""A number, or what was named before: an argument, a part of the name."""
_ENUMERATOR = re.compile(r"E?(\d+)E")
_LENGTH = re.compile(r"[1-9]\d{0,3}")
_ANONYMOUS = ("_GLOBAL__N_", "_INTERNAL_")


def short_name(name: str) -> str:
    """A kernel's name without return type, template arguments and parameters.

    Of a mangled name the qualified name is read (Itanium C++ ABI, 5.1.2). What cannot be read is
    cut and nothing else. Different kernels may share a short name.
    """
    text = name[:_LONGEST_READ].strip()
    text = _of_mangled(text) or text
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


def said(name: str) -> str:
    """What a mangled name says, in order and without types: its names, and enumerators by number.

    CUPTI reports names as the compiler made them. Any other name is given back as it is.
    """
    if not name.startswith("_Z"):
        return name
    parts: list[str] = []
    place, is_literal = 2, False
    while place < len(name):
        if found := _SKIPPED.match(name, place):
            place = found.end()
        elif is_literal and parts and (found := _ENUMERATOR.match(name, place)):
            parts[-1] = f"({parts[-1]}){found[1]}"
            place, is_literal = found.end(), False
        elif found := _LENGTH.match(name, place):
            place = found.end() + int(found[0])
            parts.append(name[found.end() : place])
        else:
            is_literal = name[place] == "L" or (is_literal and name[place] == "N")
            place += 1
    return "::".join(part for part in parts if not part.startswith(_ANONYMOUS))


def _of_mangled(name: str) -> str:
    """A mangled name's own, with what tells apart those that many kernels have; else empty.

    Of the names in its arguments a type is taken, by its capital letter: the first.
    """
    own = _qualified(name)
    if own.rpartition("::")[2] not in _GENERIC:
        return own
    rest = said(name).removeprefix(own).split("::")
    inner = next((part for part in rest if part[:1].isupper() and part not in _DULL), "")
    return f"{own}<{inner}>" if inner else own


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
    kept = [part for part in parts if not part.startswith(_ANONYMOUS)]
    return "::".join(kept)
