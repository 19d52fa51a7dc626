# SPDX-License-Identifier: Apache-2.0
"""Is it a kernel? What a compiled candidate calls and offers, judged before it is ever loaded.

The audit reads bytes in the judge. It is a policy with reasons, not the wall: what a kernel must
not be able to do, the sandbox makes impossible. What it alone decides is whether the work is the
kernel's own: a library's names do not pass unless the configuration says so.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass

from kernelcoder.records import Status
from kernelcoder.verify import elf, loaded
from kernelcoder.verify.elf import Image, Malformed, Symbol

# Names of somebody else's numerical libraries: BLAS and LAPACK by their C and Fortran names, Intel
# MKL and its vector functions, oneDNN, BLIS, FFTW, SLEEF, ACML, and PyTorch itself.
_LIBRARY = re.compile(
    r"(?:(?:cblas|LAPACKE|lapacke|mkl|MKL|dnnl|bli|openblas|catlas|armpl|fftwf?|Sleef|amd_vr[sd]|xnn)_\w+"
    r"|[sdcz](?:gem[mv]|ger|axpy|dot[uc]?|scal|nrm2|asum|copy|swap|syrk|sym[mv]|tr[sm]m|rot)_?"
    r"|[vV][msdcz]{1,2}(?:Exp|Ln|Tanh|Sqrt|Erf|Pow|Add|Mul|Sin|Cos|Div|Inv|InvSqrt)"
    r"|_ZNK?(?:2at|3c10|5torch)\w+|(?:aoti|aten|torch|THP?)_\w+)$"
)
# What a kernel has no business with, and why; first match counts.
_FORBIDDEN = tuple(
    (re.compile(f"(?:{names})$"), reason)
    for names, reason in (
        (
            r"(?:__libc_|_)?dl(?:m?open|v?sym|close|error|addr1?|info|_\w+|m\w+)",
            "a kernel loads no libraries",
        ),
        (r"syscall|prctl|arch_prctl|ptrace|process_vm_\w+|ioctl", "a kernel makes no system calls"),
        (
            r"_?_?v?fork|_Fork|clone\d?|exec\w+|f?execve|posix_spawn\w*|system|popen|pclose|wait\w*"
            r"|daemon|setsid|setpgid|unshare|setns",
            "a kernel starts no processes",
        ),
        (
            r"socket(?:pair)?|connect|bind|listen|accept4?|send\w*|recv\w*|getaddrinfo"
            r"|gethostby\w+|shutdown",
            "a kernel talks to nobody",
        ),
        (
            r"m(?:un|re)?map(?:64)?|mprotect|pkey_\w+|madvise|mlock\w*|s?brk|shm\w+|memfd_create",
            "a kernel maps no memory; it may allocate with new or malloc",
        ),
        (
            r"(?:_?_?bsd_|sysv_)?signal|sig(?!nificand|nbit|ngam)\w+|kill(?:pg)?|tgkill|alarm"
            r"|setitimer|timer_\w+|pthread_(?:kill|sig\w+|atfork)",
            "a kernel handles and sends no signals",
        ),
        (
            r"open(?:at)?(?:64)?|__open\w*|creat(?:64)?|f(?:re)?open(?:64)?|fdopen|close\w*|dup[23]?"
            r"|p?(?:read|write)v?2?(?:64)?|lseek(?:64)?|unlink\w*|rename\w*|remove|mkdir|rmdir"
            r"|opendir|readdir\w*|f?stat(?:at|64)?|__[fl]?xstat\w*|access|truncate|ftruncate"
            r"|mks?temp\w*|tmpfile\w*|pipe2?|fcntl(?:64)?|splice|tee|sendfile\w*|link|symlink"
            r"|_ZNSt10filesystem\w+|_ZNK?St\d+basic_(?:ifstream|ofstream|fstream|filebuf)\w+"
            r"|_ZNSt12__basic_file\w+",
            "a kernel opens, reads and writes no files",
        ),
    )
)
# Of the C library: memory, text, formatted output, numbers, threads, clocks, ways to end.
_PLAIN = re.compile(
    r"""(?:
    mem\w+ | b(?:cmp|copy|zero) | [mc]alloc | realloc(?:array)? | c?free | aligned_alloc
  | posix_memalign | p?valloc | malloc_usable_size | str\w+ | st[rp]\w+ | wcs\w+ | wmem\w+
  | is\w+ | to(?:upper|lower|ascii) | __ctype_\w+ | ato(?:i|ll?|f) | mb\w+ | wcrtomb | btowc | wctob
  | v?(?:s|sn|f|d|as)?printf | v?sscanf | f?put[cs](?:_unlocked)? | put(?:char|w)(?:_unlocked)?
  | fwrite(?:_unlocked)? | fflush(?:_unlocked)? | perror | std(?:out|err) | set(?:v?buf|linebuf)
  | _?_?_?exit | _Exit | quick_exit | abort | raise | at_quick_exit | atexit
  | __cxa_\w+ | __assert\w* | __stack_chk_\w+ | __fortify_fail | __chk_fail | (?:__)?errno\w*
  | __libc_single_threaded | l?l?abs | i?max(?:abs|div) | (?:l|ll|imax)?div | qsort(?:_r)? | bsearch
  | s?rand(?:_r)? | s?random(?:_r)? | [delmnj]rand48(?:_r)? | ffs(?:l|ll)? | finite[fl]?
  | copysign[fl]? | frexp[fl]? | ldexp[fl]? | modf[fl]? | scalbn[fl]? | (?:__)?sign(?:bit)?[fl]?
  | time | clock | difftime | clock_get\w+ | gettimeofday | timespec_get | (?:clock_)?nanosleep
  | u?sleep | pthread_\w+ | sem_\w+ | sched_\w+ | __sched_cpu\w+ | thrd_\w+ | mtx_\w+ | cnd_\w+
  | tss_\w+ | call_once | __tls_get_addr | (?:secure_)?getenv | (?:__)?sysconf | getpagesize
  | get_(?:n|phys_|avphys_)\w+ | getauxval | getcpu | _?_?sig?setjmp | __sigsetjmp | _?longjmp
  | getpid | gettid
    )$""",
    re.VERBOSE,
)
_DECORATED = re.compile(r"__(?:isoc\d\d_)?(\w+?)(?:_chk)?$")
_CLOCKS = re.compile(r"time$|clock|gettimeofday|timespec_get|_ZNSt6chrono\w*3nowEv")
# Whoever defines these wants to stand between the harness and the system or its clock.
_POSING = re.compile(
    r"(?:p?(?:read|write)v?|clock\w*|time|gettimeofday|mem(?:cmp|cpy|set)|syscall|_?exit|dlsym|raise"
    r"|(?:GOMP|omp|cblas|kc)_\w+|(?:__)?sig\w+|p?thread_\w+|mmap|mprotect)$"
)
OURS = frozenset({"kernel", "kc_require_contiguous"})
# The compiler's own frame_dummy and __do_global_dtors_aux.
_ORDINARY_INITIALIZERS = 1


@dataclass(frozen=True, slots=True)
class Audit:
    """``status`` is "" if the candidate may be loaded, else refused, cheating or compile_error with
    its ``reason``; ``evidence`` are remarks that decide nothing, ``symbols`` how many were read."""

    status: Status | None
    reason: str
    symbols: int
    evidence: tuple[str, ...] = ()


def audit(
    data: bytes,
    library: str = "none",
    offers: Sequence[str] = ("kernel",),
    lent: Container[str] = (),
) -> Audit:
    """Judge the bytes of a shared object. ``library`` is the policy of VERIFY_LIBRARY; ``offers``
    are functions of which it must define all, ``lent`` names that the slot has for it besides the
    system's. Never raises for what the bytes hold."""
    try:
        image = elf.read(data)
    except Malformed as problem:
        return Audit("refused", f"the shared object is malformed: {problem}", 0)
    count = len(image.symbols)
    found = _form(image) or _exports(image) or _imports(image, library, lent)
    if found is not None:
        return Audit(*found, count)
    defined = {symbol.name for symbol in image.symbols if symbol.defined}
    if missing := [name for name in offers if name not in defined]:
        text = f'no function extern "C" void {missing[0]}(...) in the library'
        return Audit("compile_error", text, count)
    return Audit(None, "", count, tuple(_remarks(image)))


_Found = tuple[Status, str] | None


def _form(image: Image) -> _Found:
    """What no compiler run of ours produces."""
    strange = [
        (bool(image.needed), f"asks for other libraries ({', '.join(image.needed[:3])})"),
        (bool(image.legacy), f"defines {' and '.join(image.legacy)}, which run when it is loaded"),
        (bool(image.detours), f"redirects the loader ({', '.join(image.detours)})"),
        (image.text_relocations, "has relocations in its code"),
        (image.executable_stack, "wants an executable stack"),
        (image.writable_code, "has code that can be rewritten"),
    ]
    return next((("refused", f"it {what}") for bad, what in strange if bad), None)


def _exports(image: Image) -> _Found:
    """Definitions that would stand in for the libraries' own, or be hidden by them."""
    runtime = loaded.runtime()
    names = {symbol.name for symbol in image.symbols}
    for symbol in image.symbols:
        if not symbol.defined or symbol.kind == "none":
            continue
        # the compiler's own resolvers (target_clones) have a name no source can spell
        if symbol.kind == "indirect function" and f"{symbol.name}.resolver" not in names:
            return "refused", f"it chooses {_show(symbol)} by code that runs when it is loaded"
        if symbol.name in OURS:
            continue
        if symbol.name.startswith("_Z") and symbol.binding != "global":
            continue  # templates and inline functions are in every file that uses them
        owner = runtime.get(symbol.name)
        posing = symbol.kind != "object" and _POSING.match(symbol.name)
        if posing and (owner or symbol.name.startswith(("cblas_", "kc_"))):
            where = f" in place of {owner}'s" if owner else ""
            return "cheating", f"it defines its own {_show(symbol)}{where}"
        if owner:
            what = f"it defines {_show(symbol)}, a name of {owner}, which is used in its place"
            return "refused", f"{what}: make it static or rename it"
    return None


def _imports(image: Image, library: str, lent: Container[str]) -> _Found:
    """Names it uses: the first that it may not have, forbidden ones before missing ones."""
    missing: _Found = None
    for symbol in image.symbols:
        if symbol.defined or not symbol.name or symbol.name in lent:
            continue
        kind, reason = _sort(symbol.name)
        if kind == "forbidden":
            return "refused", f"it uses {_show(symbol)}: {reason}"
        if kind == "library" and library != "allowed":
            return "refused", f"it calls {_show(symbol)}: a kernel does its work itself"
        if kind == "library" and symbol.name in loaded.blas().names:
            continue
        if kind in ("library", "unknown") and symbol.binding != "weak" and missing is None:
            missing = "compile_error", f"{_show(symbol)} is used but defined nowhere"
    return missing


@functools.lru_cache(maxsize=8192)
def _sort(name: str) -> tuple[str, str]:
    """What an undefined name is: ordinary, forbidden (with the reason), library or unknown."""
    for pattern, reason in _FORBIDDEN:
        if pattern.match(name):
            return "forbidden", reason
    owner = loaded.runtime().get(name)
    if owner is None:
        return ("library" if _LIBRARY.match(name) else "unknown"), ""
    if owner in ("libc", "libdl", "ld.so") and not _plain(name):
        return "forbidden", f"a kernel does not need this name of {owner}"
    return "ordinary", ""


def _plain(name: str) -> bool:
    """Whether a name of the C library is an ordinary one, perhaps in a checked variant."""
    if _PLAIN.match(name):
        return True
    bare = _DECORATED.match(name)
    return bool(bare and _PLAIN.match(bare[1]))


def _remarks(image: Image) -> Iterator[str]:
    used = {symbol.name: symbol for symbol in image.symbols if not symbol.defined}
    if calls := [name for name in used if _sort(name)[0] == "library"]:
        yield f"calls {', '.join(sorted(calls)[:4])} of {loaded.blas().name}"
    if any(_CLOCKS.match(name) for name in used):
        yield "reads a clock"
    if (extra := image.initializers - _ORDINARY_INITIALIZERS) > 0:
        yield f"runs code when it is loaded ({extra} initializer{'s' if extra > 1 else ''})"
    if image.indirect:
        yield "chooses functions when it is loaded (by processor)"


_IDENTIFIER = re.compile(r"[A-Za-z_]\w*")


def _show(symbol: Symbol) -> str:
    """A name as its author wrote it, as far as that is simple: ``_Z3fooif`` is foo."""
    text = symbol.name
    if found := re.match(r"_ZL?(\d{1,3})", text):
        plain = text[found.end() : found.end() + int(found[1])]
        text = plain if _IDENTIFIER.fullmatch(plain) else text
    return f"`{text[:80]}`"
