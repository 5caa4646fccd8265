"""The zoo's index: one Markdown file a model name, with typed YAML front matter. No torch, no network."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stzoo.contract import InputContract
from stzoo.errors import BundleError
from stzoo.files import packaged
from stzoo.validation import OneLine, problems, shortened

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$")]
Line = Annotated[str, Field(min_length=1, max_length=200), OneLine]
RepositoryId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=200)]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_OWN = ("name", "weights", "paper")
_COUNTED = ("parameters", "multiply_adds")
_MOST_CHARACTERS = 2**16
_DIGITS = 18


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Reads front matter: texts, numbers, truth values, lists and tables. Dates, and numbers that are none, are texts.

    libyaml reads the whole zoo in the time of two cards.
    """

    yaml_constructors: ClassVar[dict[Any, Any]] = {
        tag: construct
        for tag, construct in yaml.SafeLoader.yaml_constructors.items()
        if tag is None or tag.rpartition(":")[2] in ("null", "bool", "str", "seq", "map")
    }

    def number(self, node: yaml.ScalarNode) -> int | float | str:
        """A decimal number, or else the text."""
        text = str(self.construct_scalar(node))
        for kind in (int, float) if len(text) <= _DIGITS or "." in text else ():
            try:
                return kind(text)
            except ValueError:
                continue
        return text


for _tag in ("int", "float"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", _Loader.number)
_Loader.add_constructor("tag:yaml.org,2002:timestamp", yaml.SafeLoader.construct_yaml_str)


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Bundled(_Value):
    """Weights that came with this installation: a folder of `stzoo/bundled`."""

    bundled: Name

    @property
    def text(self) -> str:
        return "in the package"


class OnHub(_Value):
    """Weights in a Hub repository, at a branch, tag or commit."""

    hub: RepositoryId
    revision: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$", max_length=200)] = "main"

    @property
    def text(self) -> str:
        return f"{self.hub}@{self.revision}"


class NetDescription(_Value):
    """All that is needed to build a card's net before anybody has trained it.

    `strategy` is a name as `stzoo.strategies.names.named` takes it, `options` are the backbone's. `parameters` are the
    net's, `multiply_adds` those of one clip of `input`, as `stzoo.nets.measure` counts them.
    """

    classes: Annotated[int, Field(ge=2, le=100_000)]
    strategy: Line
    options: Annotated[dict[Name, bool | int | float | str], Field(max_length=50)] = {}
    input: InputContract
    parameters: Annotated[int | None, Field(ge=1)] = None
    multiply_adds: Annotated[int | None, Field(ge=1)] = None


class Quoted(_Value):
    """Accuracies in percent as Zhou et al. 2020 print them in the table or figure `source`: theirs, not measured here.

    `protocol` says on which clips of which split, and what the net was pre-trained on, as far as they say so.
    """

    source: Line
    protocol: Line
    top1: Annotated[float, Field(gt=0, le=100)]
    top5: Annotated[float | None, Field(gt=0, le=100)] = None

    @property
    def text(self) -> str:
        """For people: `62.9 % top-1, 88.0 % top-5 (Table 3; validation split)`."""
        top5 = f", {self.top5:.1f} % top-5" if self.top5 is not None else ""
        return f"{self.top1:.1f} % top-1{top5} ({self.source}; {self.protocol})"


class Card(_Value):
    """What the zoo knows of a name without opening its weights.

    `task` is the question the model answers, `strategy` its label (`Opt`, `S`, `ST`, `S+ST`), `weights` where its
    weights are, `"none"` if nobody has trained them, and `body` the prose below the front matter. `net` builds the net
    where there are no weights, and `paper` quotes what the paper publishes for it.

    `license` is the weights' as the Hub writes it (`apache-2.0`), `data_license` that of the training data in words,
    `hub_dataset` the dataset's name on the Hub, and `limits` what the model is not for. `body`, `limits` and
    `data_license` are Markdown.
    """

    name: Name
    title: Line
    dataset: Line
    task: Line
    backbone: Line
    strategy: Line
    weights: Bundled | OnHub | Literal["none"]
    net: NetDescription | None = None
    paper: Annotated[tuple[Quoted, ...], Field(max_length=20)] = ()
    license: Annotated[str | None, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,60}$")] = None
    data_license: Line | None = None
    hub_dataset: RepositoryId | None = None
    limits: Annotated[str | None, Field(min_length=1, max_length=4000)] = None
    body: str = ""

    @property
    def where(self) -> str:
        """Where the weights are, in words."""
        return "not trained yet" if isinstance(self.weights, str) else self.weights.text


def read(path: Path | str) -> Card:
    """Reads one card.

    `like: NAME` in the front matter lends what this card does not say: the fields and the prose of the card NAME
    beside it, but for its weights and all that is counted or quoted for it alone. What both say of `net` is joined.

    Raises `BundleError` naming the file, the field and the value that is wrong.
    """
    source = Path(path)
    value = _read_fields(source)
    if "like" in value:
        value = _completed(value, source)
    try:
        card = Card.model_validate_json(json.dumps(value))
    except ValidationError as error:
        raise BundleError(f"the card {source}: {problems(error)}") from error
    if card.name != source.stem:
        raise BundleError(f'the card {source} is for the name "{card.name}"; a card\'s file is called after its name')
    return card


def _read_fields(source: Path) -> dict[str, Any]:
    """Front matter and prose of one file, unchecked."""
    try:
        text = source.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BundleError(f"the card {source} cannot be read: {error}") from error
    if len(text) > _MOST_CHARACTERS:
        raise BundleError(f"the card {source} has {len(text)} characters; at most {_MOST_CHARACTERS} are read")
    start, _, rest = text.partition("---\n")
    front, fence, body = rest.partition("\n---\n")
    if start or not fence:
        raise BundleError(f'the card {source} has no front matter; begin it with YAML between two lines "---"')
    try:
        # A value that refers to another may stand for billions of them.
        if "&" in front and any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(front, _Loader)):
            raise BundleError(f"the card {source} has front matter with aliases such as *name; write values out")
        value: Any = yaml.load(front, _Loader)
    except yaml.YAMLError as error:
        raise BundleError(
            f"the card {source} has front matter that is not YAML: {' '.join(str(error).split())}"
        ) from error
    except RecursionError as error:
        raise BundleError(f"the card {source} nests its values too deeply to be read") from error
    except (ValueError, TypeError, LookupError, AttributeError) as error:  # of tags such as !!bool before other values
        raise BundleError(f"the card {source} has front matter with a value that is none of its tag") from error
    if not isinstance(value, dict) or "body" in value:
        raise BundleError(f"the card {source} has front matter without fields; give name, title and so on")
    return value | ({"body": body.strip()} if body.strip() else {})


def _completed(value: dict[str, Any], source: Path) -> dict[str, Any]:
    """The fields of a card that is like another one, completed from that card."""
    like, value = value["like"], {key: part for key, part in value.items() if key != "like"}
    if not isinstance(like, str) or not _NAME.fullmatch(like):
        raise BundleError(f"the card {source} is like {shortened(repr(like))}; give the name of a card beside it")
    lent = {key: part for key, part in _read_fields(source.with_name(f"{like}.md")).items() if key not in _OWN}
    if "like" in lent:
        raise BundleError(f'the card {source} is like {like}, which itself is like "{lent["like"]}"; name that one')
    nets = lent.get("net"), value.get("net")
    if isinstance(nets[0], dict) and isinstance(nets[1], dict):
        value["net"] = {key: part for key, part in nets[0].items() if key not in _COUNTED} | nets[1]
    return lent | value


def names() -> list[str]:
    """The names of the cards that came with stzoo, sorted; none of them has been read."""
    return sorted(path.stem for path in packaged("cards").glob("*.md"))


def named(name: str) -> Card:
    """The card that came with stzoo for a name out of `names`."""
    return read(packaged("cards") / f"{name}.md")


def render(card: Card) -> str:
    """The card's file: front matter and prose, as `read` takes them."""
    front = card.model_dump(mode="json", exclude={"body"}, exclude_none=True)
    return f"---\n{yaml.safe_dump(front, sort_keys=False, allow_unicode=True)}---\n\n{card.body}\n"
