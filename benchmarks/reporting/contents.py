"""The list of all benchmarks. A new one is a module of ``benchmarks`` that takes ``--json PATH``, and a line here."""

from dataclasses import dataclass

QUICK = ("--quick",)


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A module of ``benchmarks`` and how a report runs it; ``quick`` is None where a quick report leaves it out."""

    name: str
    title: str
    about: str
    full: tuple[str, ...] = ()
    quick: tuple[str, ...] | None = QUICK


BENCHMARKS = (
    Benchmark(
        "engine", "Recognition", "From the bytes of a photo to a template, on one thread, beside other pipelines."
    ),
    Benchmark("photos", "Costly photos", "The photos that take the most time, beside a portrait of the same size."),
    Benchmark(
        "photos_per_person",
        "Several photos of a person",
        "Whether the levels keep their promise with two and four photos of an enrolled person.",
    ),
    Benchmark("portraits", "Portraits of documents", "Those of chips in JPEG 2000, and those of simulated ID cards."),
    Benchmark(
        "search",
        "1:N search",
        "The nearest template of a gallery, exactly, on one thread, beside other exact searches.",
    ),
    Benchmark("calls", "HTTP", "Calls to a server whose engine takes no time, beside a plain FastAPI application."),
    Benchmark("cores", "Cores", "The rate of a server on all cores, beside that of the engine alone.", QUICK, None),
    Benchmark(
        "store",
        "Enrolment and loading",
        "Durable inserts beside a bare write to the same disk, and the loading of a gallery.",
    ),
    Benchmark(
        "scaling",
        "Several servers",
        "Two servers that share a gallery in shards on a Ray cluster, beside one with the gallery in its memory.",
        QUICK,
        None,
    ),
    Benchmark("loading", "Loading", "A start with a large gallery: in one server, and in four shards.", QUICK, None),
    Benchmark(
        "sessions", "Face sessions", "Sessions at once over real sockets, with the frames of a simulated person."
    ),
    Benchmark(
        "startup", "Start-up", "The processor's time of a command, and of the start of a server with many tenants."
    ),
    Benchmark("memory", "Memory", "The memory of a served process, idle and under load.", QUICK, None),
    Benchmark(
        "overload",
        "Overload",
        "A server that gets four times as many calls as it can answer, on a simulated engine.",
        QUICK,
        None,
    ),
    Benchmark(
        "abuse",
        "Abuse",
        "A server under attack by strangers, and the calls of a rightful client meanwhile.",
        QUICK,
        None,
    ),
)
