"""The list of all terms, and those of them that a configuration asks for."""

from collections.abc import Mapping
from functools import reduce
from operator import or_

from nst_rs.config.picture import ObjectiveSection
from nst_rs.errors import ConfigError
from nst_rs.objective.moments import Statistics
from nst_rs.objective.terms.agreement import Agreement
from nst_rs.objective.terms.base import Term
from nst_rs.objective.terms.content import Content
from nst_rs.objective.terms.gram import Gram
from nst_rs.objective.terms.variation import Variation
from nst_rs.vgg16 import Trunk

TERMS: tuple[type[Term], ...] = (Content, Gram, Variation)
"""All terms that a configuration's objective can ask for, in the order in which they are added up, recorded and drawn.
A new term is a module and a name here. After them comes Agreement, where ``style.agree`` names maps to agree with."""


def chosen_terms(section: ObjectiveSection) -> tuple[Term, ...]:
    """Return the terms that a configuration's section asks for, still without the style.

    Raises ConfigError for a name that is no term's, and for a term that measures deeper than the network is computed.
    """
    _refuse_unknown(section.terms)
    terms = tuple(kind.build(_weight(kind, section), section) for kind in TERMS if _is_wanted(kind, section))
    for term in terms:
        _refuse_deep(term, section)
    return terms


def needed_statistics(section: ObjectiveSection) -> Statistics:
    """Return what the network must measure for a configuration's section. Raises ConfigError."""
    return reduce(or_, (term.statistics for term in chosen_terms(section)))


def describe(name: str) -> Mapping[str, str]:
    """Return a term's name, its label and its meaning.

    >>> describe("content")
    {'name': 'content', 'label': 'content', 'meaning': 'distance to the scene'}
    """
    kinds: tuple[type[Term], ...] = (*TERMS, Agreement)
    (kind,) = (kind for kind in kinds if kind.name == name)
    return {"name": kind.name, "label": kind.label, "meaning": kind.meaning}


def _weight(kind: type[Term], section: ObjectiveSection) -> float:
    """Return a term's weight at the finest level."""
    weight = getattr(section, kind.key) if kind.key else section.terms.get(kind.name, 0.0)
    return float(weight[-1] if isinstance(weight, tuple) else weight)


def _is_wanted(kind: type[Term], section: ObjectiveSection) -> bool:
    return kind.always or _weight(kind, section) > 0


def _refuse_unknown(weights: Mapping[str, float]) -> None:
    known = [kind.name for kind in TERMS if not kind.key]
    own_keys = {kind.name: f"objective.{kind.key}" for kind in TERMS if kind.key}
    for name in weights:
        if name not in known:
            raise ConfigError(
                f"objective.terms.{name}",
                expected=f"one of {', '.join(known)}" if known else "no further term: there is none yet",
                do=f"set {own_keys[name]}" if name in own_keys else "",
            )


def _refuse_deep(term: Term, section: ObjectiveSection) -> None:
    computed = [layer.name for layer in Trunk.reaching([*section.content_layers, *section.style_layers]).layers]
    deeper = [name for name in term.statistics.counted if name not in computed]
    if deeper:
        raise ConfigError(
            f"objective.terms.{term.name}",
            expected=f"layers to measure no deeper than {computed[-1]}",
            got=", ".join(deeper),
            do="name a deeper layer in objective.style_layers or objective.content_layers",
        )
