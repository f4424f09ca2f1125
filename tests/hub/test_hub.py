"""Models and data from a hub: fetched once, at a recorded commit, then used without a network."""

import json
import shutil
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xbench.catalogue.hub import NotHere, Wanted, cached, commit_of, fetch, look_up
from xbench.catalogue.models import find_model
from xbench.catalogue.registry import load_registry

from ..command import QUICK_OPTIONS, Outcome, xbench
from ..toys import model_folder
from .server import Hub, serving

TOPICS = (
    "health",
    "sports",
    "travel",
    "politics",
    "geography",
    "entertainment",
    "science/technology",
)
MODEL = "owner/encoder"
RUN = ("--suite", "paper", "--model", MODEL, "--task", "topic", "--arm", "none", "--mode", "linear")
RUN += ("--seed", "1", "--language", "eng,deu", "--device", "cpu")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with an encoder and a topic corpus; the cache of this machine is empty."""
    repositories = {
        f"models/{MODEL}": model_folder(tmp_path / "repositories" / "encoder"),
        "datasets/Davlan/sib200": topic_corpus(tmp_path / "repositories" / "sib200"),
    }
    (repositories[f"models/{MODEL}"] / "pytorch_model.bin").write_bytes(b"a pickle" * 100)
    with serving(Hub(repositories)) as running:
        cache = str(tmp_path / "cache")
        for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
            monkeypatch.setattr(f"huggingface_hub.constants.{name}", cache, raising=False)
        for module in ("_snapshot_download", "file_download"):
            monkeypatch.setattr(f"huggingface_hub.{module}.constants.HF_HUB_CACHE", cache)
        monkeypatch.setenv("HF_ENDPOINT", running.address)
        monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_ETAG_TIMEOUT", 5)
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        # which the library reads once, perhaps within a test that had set it
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.delenv("XBENCH_DATA", raising=False)
        yield running


def topic_corpus(folder: Path) -> Path:
    for language, greeting in (("eng_Latn", "hello"), ("deu_Latn", "hallo")):
        for split, count in (("train", 24), ("validation", 8), ("test", 8)):
            rows = [
                {"index_id": i, "category": TOPICS[i % 7], "text": f"{greeting} ba be bi {i}"}
                for i in range(count)
            ]
            path = folder / language / split / "0000.parquet"
            path.parent.mkdir(parents=True)
            pq.write_table(pa.Table.from_pylist(rows), path)
    return folder


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Call it: from then on any use of the network is an error."""

    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("the network was touched")

    return lambda: monkeypatch.setattr(socket.socket, "connect", refuse)


def test_a_request_is_looked_up_with_commit_and_sizes(hub: Hub) -> None:
    cost = look_up(Wanted(MODEL, "model", ("config.json", "*.safetensors")))
    assert cost.revision == hub.commit
    assert [name for name, _ in cost.files] == ["config.json", "model.safetensors"]
    assert cost.bytes == sum(
        (hub.repositories[f"models/{MODEL}"] / name).stat().st_size for name, _ in cost.files
    )


def test_a_model_is_fetched_once_and_no_pickle_with_it(hub: Hub) -> None:
    model = find_model(MODEL, load_registry())
    assert model.revision == hub.commit
    names = {path.name for path in model.folder.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= names
    assert "pytorch_model.bin" not in names
    assert not any("pytorch_model.bin" in request for request in hub.requests)
    hub.requests.clear()
    assert find_model(MODEL, load_registry()).identity == model.identity
    assert not any("resolve" in request for request in hub.requests if request.startswith("GET"))


def test_what_was_fetched_is_used_without_a_network(hub: Hub, cut: Any) -> None:
    online = find_model(MODEL, load_registry())
    cut()
    assert find_model(MODEL, load_registry(), offline=True) == online
    assert commit_of(online.folder) == hub.commit


def test_a_hub_that_has_gone_away_is_made_up_for_by_the_cache(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    online = find_model(MODEL, load_registry())
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert find_model(MODEL, load_registry()) == online


def twice(wanted: Wanted) -> Path:
    """What a user does after a failed download."""
    with suppress(NotHere):
        return fetch(wanted)
    return fetch(wanted)


def test_a_connection_that_breaks_off_is_gone_on_with_or_told(hub: Hub) -> None:
    wanted = Wanted(MODEL, "model", ("model.safetensors",))
    hub.break_once = True
    folder = twice(wanted)
    original = hub.repositories[f"models/{MODEL}"] / "model.safetensors"
    assert (folder / "model.safetensors").read_bytes() == original.read_bytes()


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ("closed", ("closed to strangers", "HF_TOKEN")),
        ("gone", ("is not on the hub", "HF_TOKEN")),
        ("down", ("could not be fetched from the hub", "--model DIR", "HF_ENDPOINT")),
        ("pickles", ("has no file like", "--model DIR")),
        ("offline", ("not on this machine", "fetched nothing", "xbench fetch", "--model DIR")),
    ],
)
def test_what_cannot_be_had_is_one_message_with_ways_out(
    change: str, parts: tuple[str, ...], hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name = f"models/{MODEL}"
    more = ["--offline"] if change == "offline" else []
    if change == "closed":
        hub.closed.add(name)
    elif change == "gone":
        del hub.repositories[name]
    elif change == "down":
        monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    elif change == "pickles":
        for path in hub.repositories[name].iterdir():
            if path.suffix != ".bin":
                path.unlink()
    outcome = xbench("run", *RUN, *more, "--store", tmp_path / "store")
    assert outcome.code == 2
    for part in parts:
        assert part in outcome.err
    assert "Traceback" not in outcome.err
    assert outcome.err.count("\n") <= 3


def test_a_model_with_pickled_weights_only_is_refused_with_the_way_to_convert(hub: Hub) -> None:
    (hub.repositories[f"models/{MODEL}"] / "model.safetensors").unlink()
    with pytest.raises(NotHere, match="save_pretrained"):
        find_model(MODEL, load_registry())


def test_an_unknown_revision_is_named(hub: Hub) -> None:
    with pytest.raises(NotHere, match="no revision no-such-branch"):
        fetch(Wanted(MODEL, "model", ("config.json",), branch="no-such-branch"))


def fetched(*more: str) -> Outcome:
    return xbench("fetch", *RUN, *more)


def test_fetch_brings_all_and_says_what_it_cost_and_then_no_network_is_needed(
    hub: Hub, cut: Any, tmp_path: Path
) -> None:
    dry = fetched("--dry-run")
    assert dry.code == 0, dry.err
    assert f"owner/encoder at {hub.commit}" in dry.out
    assert "3 files" in dry.out  # training in English, tests in two languages
    assert not any("GET" in r and "resolve" in r for r in hub.requests)
    real = fetched()
    assert real.code == 0, real.err
    assert "fetched in" in real.out
    cut()
    again = fetched()
    assert again.code == 0
    assert again.out.count("here already") == 2
    store = tmp_path / "store"
    outcome = xbench("run", *RUN, *QUICK_OPTIONS, "--offline", "--store", store, "--jobs", "1")
    assert outcome.code == 0, outcome.err
    (plan,) = store.glob("runs/*/plan.json")
    assert (
        json.loads(plan.read_text())["resolved"]
        == {
            MODEL.split("/")[1]: hub.commit,
            "Davlan/sib200": hub.commit,
        }
        or json.loads(plan.read_text())["resolved"]["Davlan/sib200"] == hub.commit
    )
    rows = json.loads(xbench("results", "--store", store, "--format", "json").out)
    assert {row["language"] for row in rows if row["status"] == "done"} == {"eng", "deu"}


def test_fetch_brings_what_a_later_run_needs_beside_what_is_here(hub: Hub) -> None:
    """Another language, and the development split: the data set is here already, they are not."""
    assert fetched("--language", "eng").code == 0
    more = fetched("--language", "eng,deu")
    assert "here already" in more.out.splitlines()[0]  # the model
    assert "task topic (sib200): Davlan/sib200" in more.out
    assert "fetched in" in more.out
    selected = fetched("--language", "eng,deu", "--selection", "best")
    assert "4 files" in selected.out
    assert fetched("--selection", "best").out.count("here already") == 2


def test_fetch_brings_the_test_sets_that_alignment_text_is_cleared_of(hub: Hub) -> None:
    aligned = ("--arm", "aligned", "--objective", "hictl:S1W0M0", "--pair", "de-en")
    outcome = fetched(*aligned, "--language", "eng")
    (topic,) = (line for line in outcome.out.splitlines() if "(sib200)" in line)
    assert topic.startswith("test sentences to keep out, task topic (sib200): Davlan/sib200")
    assert "3 files" in topic  # the German test file too, though nothing is evaluated in German
    for name in ("parallel text (bitext)", "test sentences to keep out (flores200)"):
        assert f"{name}: is not on the hub" in outcome.out
    assert outcome.code == 1  # of the parallel text
    not_guarded = fetched(*aligned, "--language", "eng", "-O", "align.exclude_overlap=false")
    assert "keep out" not in not_guarded.out


def test_fetch_asks_for_what_methods_need_and_for_nothing_else(hub: Hub) -> None:
    def lines(*options: str) -> str:
        return fetched("--language", "eng,deu", "--dry-run", *options).out

    assert lines().count("\n") == 2  # model and task
    fitted = lines("--arm", "aligned", "--objective", "mean_center")
    assert "text to fit on (ntrex128)" in fitted
    assert "bitext" not in fitted
    words = ("--arm", "aligned", "--objective", "word_contrastive", "--pair", "de-en")
    assert "dictionary" not in lines(*words)
    assert "dictionary (muse)" in lines(*words, "-O", "align.aligner=dictionary")
    kazakh = lines(*words[:-1], "en-kk", "-O", "align.aligner=dictionary")
    assert "dictionary (apertium)" in kazakh  # MUSE has no Kazakh
    assert "muse" not in kazakh


def test_equal_data_has_equal_keys_whatever_the_commit(hub: Hub, tmp_path: Path) -> None:
    store = tmp_path / "store"
    options = [*RUN, *QUICK_OPTIONS, "--store", store, "--jobs", "1"]
    assert xbench("run", *options).code == 0
    hub.commit = "b" * 40
    outcome = xbench("run", *options)
    assert outcome.code == 0, outcome.err
    assert "nothing to compute" in outcome.err


def test_data_that_changed_on_the_hub_is_other_data(hub: Hub, tmp_path: Path) -> None:
    options = [*RUN, *QUICK_OPTIONS, "--store", tmp_path / "store", "--jobs", "1"]
    assert xbench("run", *options).code == 0
    path = hub.repositories["datasets/Davlan/sib200"] / "deu_Latn" / "test" / "0000.parquet"
    rows = pq.read_table(path).to_pylist()
    pq.write_table(pa.Table.from_pylist(rows[::-1]), path)
    hub.commit = "b" * 40
    outcome = xbench("run", *options)
    assert "To compute: 1 evaluate, 1 score" in outcome.err


def test_a_damaged_file_of_the_cache_is_named(hub: Hub, tmp_path: Path) -> None:
    assert fetched().code == 0
    wanted = Wanted("Davlan/sib200", "dataset", ("deu_Latn/test/*",), branch="refs/convert/parquet")
    folder = cached(wanted)
    assert folder is not None
    path = (folder / "deu_Latn" / "test" / "0000.parquet").resolve()
    path.write_bytes(path.read_bytes()[:50])
    outcome = xbench("run", *RUN, *QUICK_OPTIONS, "--offline", "--store", tmp_path / "store")
    assert outcome.code == 2
    assert "0000.parquet is no complete parquet file" in outcome.err


def test_a_folder_in_the_hubs_layout_is_read_as_fetched(hub: Hub, tmp_path: Path) -> None:
    """The same corpus from a data folder in its own layout gives the same predictions."""
    data = tmp_path / "data"
    for language in ("eng_Latn", "deu_Latn"):
        for split, name in (("train", "train"), ("validation", "dev"), ("test", "test")):
            source = hub.repositories["datasets/Davlan/sib200"] / language / split / "0000.parquet"
            target = data / "sib200" / language / f"{name}.tsv"
            target.parent.mkdir(parents=True, exist_ok=True)
            lines = ["index_id\tcategory\ttext"]
            lines += [
                f"{r['index_id']}\t{r['category']}\t{r['text']}"
                for r in pq.read_table(source).to_pylist()
            ]
            target.write_text("\n".join(lines) + "\n")
    values = []
    for more, store in ((("--data", str(data)), "one"), ((), "two")):
        options = [*RUN, *QUICK_OPTIONS, *more, "--store", tmp_path / store, "--jobs", "1"]
        outcome = xbench("run", *options)
        assert outcome.code == 0, outcome.err
        rows = json.loads(xbench("results", "--store", tmp_path / store, "--format", "json").out)
        values.append([(row["language"], row["metric"], row["value"]) for row in rows])
    assert values[0] == values[1]
    shutil.rmtree(data)
