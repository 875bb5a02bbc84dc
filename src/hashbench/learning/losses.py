"""The losses of methods as pure functions, gathered for those who look for one; methods import the files themselves."""

from __future__ import annotations

from hashbench.learning.bit_contrast import hashsim_loss as hashsim_loss
from hashbench.learning.coding_rate import coding_rate as coding_rate
from hashbench.learning.coding_rate import crovca_loss as crovca_loss
from hashbench.learning.concept_mining import uhscm_loss as uhscm_loss
from hashbench.learning.contrast import nt_xent as nt_xent
from hashbench.learning.cosine_error import pairwise_cosine_error as pairwise_cosine_error
from hashbench.learning.external_guidance import duheg_loss as duheg_loss
from hashbench.learning.hierarchical_contrast import hhch_instance_loss as hhch_instance_loss
from hashbench.learning.hierarchical_contrast import hhch_prototype_loss as hhch_prototype_loss
from hashbench.learning.hierarchical_contrast import hhch_quantisation as hhch_quantisation
from hashbench.learning.hyperbolic import hyperbolic_distance as hyperbolic_distance
from hashbench.learning.hyperbolic import poincare_points as poincare_points
from hashbench.learning.overview import OverviewState as OverviewState
from hashbench.learning.overview import oh_losses as oh_losses
