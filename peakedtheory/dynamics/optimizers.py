"""How a student is trained: the optimizers that flows, tuning and training experiments share."""

from __future__ import annotations

from dataclasses import dataclass

from peakedtheory._common.checks import fail, positive_number, real_number, shown

#: Batches and widths that averages are taken over.
_MOST = 1e12


@dataclass(frozen=True)
class _MiniBatches:
    """What the optimizers that draw batches share."""

    learning_rate: float = 1.0
    batch: float = 1024
    width: float = 32

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not name.startswith("beta"):
                if positive_number(name, value) > _MOST and name != "learning_rate":
                    fail(name, f"must be at most {_MOST:g}", shown(value), "correct it")
            elif not 0 <= real_number(name, value) < 1:
                fail(name, "must be in [0, 1)", f"{value}", "0.999 and 0.9 are common")


@dataclass(frozen=True)
class GradientFlow:
    """Noiseless gradient descent in the limit of small steps, dW/dτ = -c_eff ∇L (Liu et al. 2026, Eq. 22).

    Parameters
    ----------
    c_eff : float
        Factor on the gradient.
    width : float, optional
        Input width m; None for its limit of infinity, where two variables suffice.
    """

    c_eff: float = 1.0
    width: float | None = None

    def __post_init__(self) -> None:
        positive_number("c_eff", self.c_eff)
        if self.width is not None:
            positive_number("width", self.width)


@dataclass(frozen=True)
class SGD(_MiniBatches):
    """Stochastic gradient descent.

    Parameters
    ----------
    learning_rate : float
        η; a schedule given to the flow replaces it.
    batch : float
        Examples per step B.
    width : float
        Input width m.
    """


@dataclass(frozen=True)
class Adam(_MiniBatches):
    """Adam without weight decay in the gradient: steps of the gradient over its root mean square.

    Parameters
    ----------
    learning_rate, batch, width : float
        As for `SGD`, with its defaults.
    beta2 : float
        Decay of the second moment, which remembers 1/(1 - beta2) steps.
    beta1 : float
        Decay of the first moment.
    """

    beta2: float = 0.999
    beta1: float = 0.9


@dataclass(frozen=True)
class SignGD(_MiniBatches):
    """Steps of the gradient's signs, the limit of Adam without memory.

    Parameters
    ----------
    learning_rate, batch, width : float
        As for `SGD`, with its defaults.

    Notes
    -----
    The gradient of a weight is a sum over few examples of very unequal size, and its mean sign is averaged as
    such (docs/dynamics.md, Eqs. 46-48), with one table per (n, beta_star, batch). With BV/n below about one,
    V the mean squared difference of the softmax outputs, most rows meet none of their examples in a batch
    and training stalls; the theory then has the loss, but D a quarter too low ("Against training").
    """


@dataclass(frozen=True)
class Muon(_MiniBatches):
    """Momentum whose steps are made orthogonal; it can be trained, but no flow describes it yet.

    Parameters
    ----------
    learning_rate, batch, width : float
        As for `SGD`, with its defaults.
    beta1 : float
        Decay of the momentum.
    """

    beta1: float = 0.95


#: Optimizers that a flow describes: all, and those whose learning rates can be tuned.
Optimizer = GradientFlow | SGD | Adam | SignGD
Tunable = SGD | Adam | SignGD


def of_batches(optimizer: object) -> Tunable:
    """Return an optimizer whose rates can be tuned; names and classes are refused."""
    if isinstance(optimizer, (SGD, Adam, SignGD)):
        return optimizer
    given = optimizer.__name__ if isinstance(optimizer, type) else shown(optimizer)
    rule = "must be an SGD, Adam or SignGD"
    return fail("optimizer", rule, given, "build one, for example SGD(batch=64, width=32)")
