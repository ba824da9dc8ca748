"""The learning basics: risk, losses, simple models, gradients, optimizers, initialisation, normalisation, ensembles, information."""

from typing import TYPE_CHECKING

from deepcanon.lazy import attach

if TYPE_CHECKING:
    from deepcanon.foundations import (
        importance_sampling as importance_sampling,
        logistic as logistic,
        minibatch as minibatch,
        monte_carlo as monte_carlo,
    )
    from deepcanon.foundations.activations import (
        gelu as gelu,
        gelu_slope as gelu_slope,
        leaky_relu as leaky_relu,
        leaky_relu_slope as leaky_relu_slope,
        normal_cdf as normal_cdf,
        relu as relu,
        relu_slope as relu_slope,
        sigmoid as sigmoid,
        sigmoid_slope as sigmoid_slope,
        softplus as softplus,
        softplus_slope as softplus_slope,
        tanh as tanh,
        tanh_slope as tanh_slope,
    )
    from deepcanon.foundations.backprop import backward as backward
    from deepcanon.foundations.bagging import Bagging as Bagging, bootstrap as bootstrap
    from deepcanon.foundations.bayes import GaussianClassifier as GaussianClassifier
    from deepcanon.foundations.bias_variance import Decomposition as Decomposition, decompose as decompose
    from deepcanon.foundations.boosting import AdaBoost as AdaBoost, Stump as Stump, stump as stump
    from deepcanon.foundations.bounds import deviation as deviation, examples_needed as examples_needed
    from deepcanon.foundations.ensembles import (
        Ensemble as Ensemble,
        MonteCarloDropout as MonteCarloDropout,
        SharedTrunk as SharedTrunk,
        vote as vote,
    )
    from deepcanon.foundations.importance_sampling import effective_sample_size as effective_sample_size
    from deepcanon.foundations.information import (
        entropy as entropy,
        gaussian_entropy as gaussian_entropy,
        gaussian_kl as gaussian_kl,
        jsd as jsd,
        kl as kl,
    )
    from deepcanon.foundations.initialization import (
        fans as fans,
        glorot as glorot,
        initialize as initialize,
        kaiming as kaiming,
        normal as normal,
        orthogonal as orthogonal,
        xavier as xavier,
        zero_residual as zero_residual,
    )
    from deepcanon.foundations.linear import LinearClassifier as LinearClassifier
    from deepcanon.foundations.logistic import fit as fit
    from deepcanon.foundations.losses import (
        binary_cross_entropy as binary_cross_entropy,
        cross_entropy as cross_entropy,
        squared_error as squared_error,
    )
    from deepcanon.foundations.monte_carlo import (
        Estimate as Estimate,
        pathwise_gradient as pathwise_gradient,
        score_gradient as score_gradient,
    )
    from deepcanon.foundations.newton import Newton as Newton
    from deepcanon.foundations.optimizers import (
        AdaGrad as AdaGrad,
        Adam as Adam,
        GradientDescent as GradientDescent,
        HeavyBall as HeavyBall,
        Momentum as Momentum,
        Nesterov as Nesterov,
        RMSProp as RMSProp,
    )
    from deepcanon.foundations.pca import PCA as PCA
    from deepcanon.foundations.regression import Regressor as Regressor
    from deepcanon.foundations.ridge_regression import l2 as l2, map_loss as map_loss, ridge as ridge
    from deepcanon.foundations.risk import empirical_risk as empirical_risk, minimize_risk as minimize_risk
    from deepcanon.foundations.snapshots import Snapshots as Snapshots, average_weights as average_weights
    from deepcanon.foundations.surrogate_gradients import (
        stop_gradient as stop_gradient,
        straight_through as straight_through,
    )
    from deepcanon.foundations.transfer import Frozen as Frozen, train_only as train_only

attach(__name__)
