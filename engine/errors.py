"""One exception per cause that a user can see; this module imports nothing.

Every message is one clear sentence (or a short list) that names the file, tensor, axis and
sizes concerned and says what to do next. Inner code says what is wrong; the boundary that
knows the file's name adds it.
"""


class BasinscopeError(Exception):
    """Base of every error whose text is meant for the user."""


# --- checkpoints ---------------------------------------------------------------------------


class CheckpointError(BasinscopeError):
    """A file is no readable checkpoint: truncated, malformed, empty or of an unknown format."""


class UnsafeFileError(CheckpointError):
    """Reading the file would run code of its author: a pickle beyond plain tensors."""


class LimitError(CheckpointError):
    """The file declares more tensors, bytes or header than the stated limits allow."""


class NonFiniteError(CheckpointError):
    """Tensors hold NaN or infinite values."""


class MismatchError(CheckpointError):
    """Two checkpoints do not have the same tensors."""


class HubError(BasinscopeError):
    """The Hub could not be asked, or refused: unknown, gated, private, offline."""


# --- models --------------------------------------------------------------------------------


class UnknownArchitectureError(BasinscopeError):
    """No family recognises the state dict."""


class CaptureError(BasinscopeError):
    """A module cannot be traced into one pure function."""


class ProgramError(BasinscopeError):
    """A Program was called with parameters or inputs that it does not take."""


class SymmetryError(BasinscopeError):
    """A permutation does not belong to the symmetry or to the parameters at hand."""


class ProofError(BasinscopeError):
    """A permutation changed the function: the symmetry is wrong and nothing is shown."""


# --- computations --------------------------------------------------------------------------


class MatchingError(BasinscopeError):
    """Two models cannot be matched, with the reason."""


class RepairError(BasinscopeError):
    """A repair after matching cannot be applied, with the reason."""


class LandscapeError(BasinscopeError):
    """A line, plane or evaluation was asked for that does not exist."""


class DataError(BasinscopeError):
    """A data set is unknown, unreadable or does not fit the model."""


class TrainingError(BasinscopeError):
    """A recipe is unknown or its options make no sense."""


class SpecError(BasinscopeError):
    """A run's spec is invalid; the text names the field and the allowed values."""


class RunError(BasinscopeError):
    """A run is unknown, failed, or its files are damaged."""


class CancelledError(BasinscopeError):
    """The user cancelled."""
