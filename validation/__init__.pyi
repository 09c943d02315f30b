from .training.cases import Case as Case, grid as grid
from .training.train import train as train
