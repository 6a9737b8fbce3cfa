"""`NestedParameters`: a clear error for parameters of a part that is None."""

from __future__ import annotations

from typing import Any, Self


class NestedParameters:
    """Mixin of estimators with parts that may be None, such as `estimator` or `augmenter`.

    None stands for a default that `fit` makes, or for no part at all. Until then there is no object
    whose parameters (``estimator__lr``) could be set.
    """

    def set_params(self, **params: Any) -> Self:
        """Set parameters of this estimator, or of its parts.

        Parameters
        ----------
        **params : dict
            ``part__parameter`` is the parameter of a part.

        Returns
        -------
        self : estimator
            The estimator itself.

        Raises
        ------
        ValueError
            When there is no such parameter, or the part is None or otherwise has no parameters.
        """
        own = self.get_params(deep=False)  # type: ignore[attr-defined]
        for name in params:
            part, separator, parameter = name.partition("__")
            if not separator or part not in own:
                continue
            value = params.get(part, own[part])
            if not hasattr(value, "set_params"):
                raise ValueError(
                    f"{name} cannot be set, because {part}={value!r} has no parameter "
                    f"{parameter!r}; pass an instance, {type(self).__name__}({part}=...), and "
                    "search over its parameters"
                )
        return super().set_params(**params)  # type: ignore[misc]
