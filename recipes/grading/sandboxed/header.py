"""The names that benchmarks put before a program: LiveCodeBench's header, as far as the program uses it.

The whole header takes longer to import than a typical test to run.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # typing's own takes as long to import as everything else here
if TYPE_CHECKING:
    from typing import Any

_TABLE = {
    "string": """
        Formatter Template ascii_letters ascii_lowercase ascii_uppercase capwords digits hexdigits octdigits
        printable punctuation whitespace
    """,
    "re": """
        A ASCII DOTALL I IGNORECASE L LOCALE M MULTILINE NOFLAG RegexFlag S U UNICODE VERBOSE X error escape
        findall finditer fullmatch match purge search split subn template
    """,
    "datetime": """
        MAXYEAR MINYEAR UTC date time timedelta timezone tzinfo
    """,
    "copy": """
        Error deepcopy
    """,
    "math": """
        acos acosh asin asinh atan atan2 atanh cbrt ceil comb copysign cos cosh degrees dist e erf erfc exp exp2
        expm1 fabs factorial floor fmod frexp fsum gamma gcd hypot inf isclose isfinite isinf isnan isqrt lcm
        ldexp lgamma log log10 log1p log2 modf nan nextafter perm pi prod radians remainder sin sinh sqrt
        sumprod tan tanh tau trunc ulp
    """,
    "random": """
        Random SystemRandom betavariate binomialvariate choice choices expovariate gammavariate gauss
        getrandbits getstate lognormvariate normalvariate paretovariate randbytes randint randrange sample seed
        setstate shuffle triangular uniform vonmisesvariate weibullvariate
    """,
    "statistics": """
        NormalDist StatisticsError correlation covariance fmean geometric_mean harmonic_mean linear_regression
        mean median median_grouped median_high median_low mode multimode pstdev pvariance quantiles stdev
        variance
    """,
    "itertools": """
        accumulate batched chain combinations combinations_with_replacement compress count cycle dropwhile
        filterfalse groupby islice pairwise permutations product repeat starmap takewhile tee zip_longest
    """,
    "functools": """
        WRAPPER_ASSIGNMENTS WRAPPER_UPDATES cache cached_property cmp_to_key lru_cache partial partialmethod
        reduce singledispatch singledispatchmethod total_ordering update_wrapper wraps
    """,
    "operator": """
        add and_ attrgetter call concat contains countOf delitem eq floordiv ge getitem gt iadd iand iconcat
        ifloordiv ilshift imatmul imod imul index indexOf inv invert ior ipow irshift is_ is_not isub itemgetter
        itruediv ixor le length_hint lshift lt matmul methodcaller mod mul ne neg not_ or_ pos rshift setitem
        sub truediv truth xor
    """,
    "io": """
        BufferedIOBase BufferedRWPair BufferedRandom BufferedReader BufferedWriter BytesIO DEFAULT_BUFFER_SIZE
        FileIO IOBase IncrementalNewlineDecoder RawIOBase SEEK_CUR SEEK_END SEEK_SET StringIO TextIOBase
        TextIOWrapper UnsupportedOperation open_code text_encoding
    """,
    "sys": """
        abiflags activate_stack_trampoline addaudithook api_version argv audit base_exec_prefix base_prefix
        breakpointhook builtin_module_names byteorder call_tracing copyright deactivate_stack_trampoline
        displayhook dont_write_bytecode exc_info excepthook exception exec_prefix executable exit flags
        float_info float_repr_style get_asyncgen_hooks get_coroutine_origin_tracking_depth
        get_int_max_str_digits getallocatedblocks getdefaultencoding getdlopenflags getfilesystemencodeerrors
        getfilesystemencoding getprofile getrecursionlimit getrefcount getsizeof getswitchinterval gettrace
        getunicodeinternedsize hash_info hexversion implementation int_info intern is_finalizing
        is_stack_trampoline_active maxsize maxunicode meta_path modules monitoring orig_argv path path_hooks
        path_importer_cache platform platlibdir prefix pycache_prefix set_asyncgen_hooks
        set_coroutine_origin_tracking_depth set_int_max_str_digits setdlopenflags setprofile setrecursionlimit
        setswitchinterval settrace stderr stdin stdlib_module_names stdout thread_info unraisablehook version
        version_info warnoptions
    """,
    "json": """
        JSONDecodeError JSONDecoder JSONEncoder dump dumps load loads
    """,
    "typing": """
        AbstractSet Annotated Any AnyStr AsyncContextManager AsyncGenerator AsyncIterable AsyncIterator
        Awaitable BinaryIO ByteString Callable ClassVar Collection Concatenate Container ContextManager
        Coroutine DefaultDict Deque Dict Final ForwardRef FrozenSet Generator Generic Hashable IO ItemsView
        Iterable Iterator KeysView List Literal LiteralString Mapping MappingView Match MutableMapping
        MutableSequence MutableSet NamedTuple Never NewType NoReturn NotRequired Optional ParamSpec
        ParamSpecArgs ParamSpecKwargs Pattern Protocol Required Reversible Self Sequence Set Sized SupportsAbs
        SupportsBytes SupportsComplex SupportsFloat SupportsIndex SupportsInt SupportsRound TYPE_CHECKING Text
        TextIO Tuple Type TypeAlias TypeAliasType TypeGuard TypeVar TypeVarTuple TypedDict Union Unpack
        ValuesView assert_never assert_type cast clear_overloads dataclass_transform final get_args get_origin
        get_overloads get_type_hints is_typeddict no_type_check no_type_check_decorator overload override
        reveal_type runtime_checkable
    """,
    "collections": """
        ChainMap Counter OrderedDict UserDict UserList UserString defaultdict deque namedtuple
    """,
    "heapq": """
        heapify heappop heappush heappushpop heapreplace merge nlargest nsmallest
    """,
    "bisect": """
        bisect_left bisect_right insort insort_left insort_right
    """,
}
"""Each module and the public names that ``from module import *`` takes from it on Python 3.10 to 3.12; where
modules share a name, it stands with the one that a program means: collections' Counter, not typing's."""
MODULES = tuple(_TABLE)
OWNERS = {name: module for module, names in _TABLE.items() for name in names.split()}
_DYNAMIC = frozenset({"eval", "exec", "globals", "vars"})


class Header:
    """The part of the header that a program needs which uses ``names``; imports its modules."""

    def __init__(self, names: set[str]) -> None:
        if names & _DYNAMIC:  # the names that it uses cannot be known
            names = {*OWNERS, *MODULES}
        self._names = [(name, OWNERS[name]) for name in names if name in OWNERS]
        self._modules = [name for name in names if name in _TABLE]
        for module in {*self._modules, *(owner for _, owner in self._names)}:
            __import__(module)

    def namespace(self) -> dict[str, Any]:
        """Names and their values; builtins keep theirs, and a module goes before what another module exports."""
        found = {
            name: getattr(sys.modules[owner], name)
            for name, owner in self._names
            if hasattr(sys.modules[owner], name)  # else it is another version's
        }
        return {**found, **{name: sys.modules[name] for name in self._modules}}
