"""What the measured numbers mean: a phrase, the direction that is better, and a unit for each name."""

from __future__ import annotations

from typing import Literal, NamedTuple

Direction = Literal["up", "down"]
ARROWS = {"up": "↑", "down": "↓", None: ""}
WORDS = {"up": "higher is better", "down": "lower is better", None: ""}


class Metric(NamedTuple):
    """What a number means; `better` is None where neither direction is better in itself."""

    phrase: str
    better: Direction | None = None
    unit: str = ""

    @property
    def arrow(self) -> str:
        """The direction that is better, in one character."""
        return ARROWS[self.better]

    @property
    def words(self) -> str:
        """The direction that is better, as text."""
        return WORDS[self.better]

    @property
    def text(self) -> str:
        """The phrase with its unit."""
        return f"{self.phrase}, in {self.unit}" if self.unit else self.phrase


UNKNOWN = Metric("")

CLASSIFICATION = {
    "accuracy": Metric("share of held-out examples that are classified correctly", "up"),
    "nll": Metric("negative log-likelihood of held-out data", "down", "nats"),
    "vote_accuracy": Metric("accuracy of the members' majority vote", "up"),
    "member_accuracy": Metric("accuracy of a single member, on average", "up"),
    "member_nll": Metric("negative log-likelihood of a single member, on average", "down", "nats"),
    "accuracy_gain": Metric("accuracy gained over the model it is compared with", "up"),
    "nll_gain": Metric("negative log-likelihood saved against the model it is compared with", "up", "nats"),
    "averaged_accuracy": Metric("accuracy of the model whose weights are the average", "up"),
    "averaged_nll": Metric(
        "negative log-likelihood of the model whose weights are the average", "down", "nats"
    ),
    "averaged_gain": Metric("accuracy of the averaged weights above that of the last ones", "up"),
    "averaged_drop": Metric("accuracy that averaging the weights loses against a single member", "down"),
    "last_accuracy": Metric("accuracy of the last weights", "up"),
    "last_nll": Metric("negative log-likelihood of the last weights", "down", "nats"),
    "supervised": Metric("accuracy of the same net trained on the labelled examples alone", "up"),
    "supervised_accuracy": Metric("accuracy of the same net trained on the labelled examples alone", "up"),
    "probe_accuracy": Metric("accuracy of a linear classifier on the learned features", "up"),
    "probe_untrained": Metric("accuracy of a linear classifier on the features of the untrained net"),
    "untrained_accuracy": Metric("accuracy of a linear classifier on the features of the untrained net"),
    "probe_gain": Metric("accuracy of the linear classifier gained over untrained features", "up"),
    "map50": Metric("mean average precision of detected boxes, matched at an IoU of 0.5", "up"),
    "map": Metric("mean average precision of detected boxes, over IoU 0.5 to 0.95", "up"),
    "crowded_recall": Metric("share of objects close to another that are found", "up"),
    "apart_recall": Metric("share of objects that stand apart from others that are found", "up"),
    "iou": Metric("intersection over union of the predicted box and the true one", "up"),
    "localized": Metric("share of images whose class is right and whose box has an IoU above 0.5", "up"),
    "top5_accuracy": Metric("share of examples whose class is among the five most probable", "up"),
    "pixel_accuracy": Metric("share of pixels whose class is right", "up"),
    "mean_iou": Metric("intersection over union of predicted and true pixels, the mean of the classes", "up"),
    "dice": Metric("overlap of predicted and true pixels, twice their intersection over the sum of both", "up"),
    "mean_precision": Metric("share of objects found, missed and invented ones counted, over IoU thresholds from 0.5 to 0.95", "up"),
    "bleu": Metric("runs of one to four words that true captions or translations share", "up"),
    "exact": Metric("share of captions that are a true one, word for word", "up"),
    "calibration_error": Metric("how far stated probabilities are from the share that is right", "down"),
}

GENERATION = {
    "frechet_distance": Metric("distance between the features of generated and of real images", "down"),
    "frechet_ratio": Metric("Frechet distance divided by that of the untrained generator", "down"),
    "precision": Metric("share of generated images that lie among the real ones", "up"),
    "recall": Metric("share of real images that lie among the generated ones", "up"),
    "class_min": Metric("share of the rarest class among generated images", "up"),
    "class_max": Metric("share of the most frequent class among generated images", "down"),
    "seconds_per_1000": Metric("seconds to generate 1,000 examples", "down"),
    "conditional_accuracy": Metric("share of generated examples that are of the class asked for", "up"),
    "verdict_accuracy": Metric(
        "share of generated examples that its own classifier assigns to their class", "up"
    ),
    "truncation_gain": Metric("conditional accuracy that truncation adds", "up"),
    "modes": Metric("clusters of the data that the generator reaches", "up"),
    "high_quality": Metric("share of generated points that lie close to a cluster", "up"),
    "nmi": Metric("normalised mutual information of the latent code and the cluster", "up"),
    "inversion_error": Metric("error of recovering a latent code, over the distance of two codes", "down"),
    "mmd": Metric("maximum mean discrepancy of generated and held-out points", "down"),
    "inception_score": Metric(
        "how clear and how varied a classifier finds the images, from 1 to the number of classes", "up"
    ),
    "class_there": Metric(
        "share of translated images that keep their class, from the first domain to the second", "up"
    ),
    "class_back": Metric(
        "share of translated images that keep their class, from the second domain to the first", "up"
    ),
    "cycle": Metric("mean absolute error after translating there and back", "down"),
    "l1": Metric("mean absolute error of the images", "down"),
    "score_data": Metric("score that the discriminator gives to real examples, on average"),
    "score_generated": Metric("score that the discriminator gives to generated examples, on average"),
    "distance": Metric("Wasserstein distance of generated and real data, as the critic estimates it", "down"),
    "vae_frechet_ratio": Metric("Frechet distance divided by that of the VAE it is compared with", "down"),
    "vae_frechet_distance": Metric("Frechet distance of the VAE it is compared with", "down"),
}

LIKELIHOOD = {
    "elbo": Metric("lower bound of the log-likelihood of held-out data", "up", "nats"),
    "log_prob": Metric("log-likelihood", "up", "nats"),
    "bits_per_dim": Metric("negative log-likelihood of held-out data for each value", "down", "bits"),
    "bits_per_token": Metric("negative log-likelihood of held-out data for each token", "down", "bits"),
    "perplexity": Metric("exponential of the negative log-likelihood for each token", "down"),
    "kl": Metric("Kullback-Leibler divergence", "down", "nats"),
    "bound": Metric("lower bound of the log-likelihood during training", "up", "nats"),
    "vae_nll": Metric("negative log-likelihood of the VAE it is compared with", "down", "nats"),
    "excess_bits": Metric("bits for each value above those of the true distribution", "down"),
    "true_bits": Metric("bits for each value of the true distribution"),
    "simple_loss": Metric("mean squared error of the predicted noise on held-out data", "down"),
    "noise_error": Metric("mean squared error of the predicted noise on held-out data", "down"),
    "weight_error": Metric("largest error of a mixture weight among the samples", "down"),
}

RECONSTRUCTION = {
    "mse": Metric("mean squared error on held-out data", "down"),
    "rmse": Metric("root mean squared error on held-out data", "down"),
    "r2": Metric("share of the variance of held-out values that is explained; the mean has 0", "up"),
    "mae": Metric("mean absolute error on held-out data", "down"),
    "pca_mse": Metric("mean squared error of principal components of the same size"),
    "pca_ratio": Metric(
        "mean squared error divided by that of principal components of the same size", "down"
    ),
    "restored_mse": Metric("mean squared error after restoration", "down"),
    "damaged_mse": Metric("mean squared error before restoration"),
    "wiener_mse": Metric("mean squared error of the best linear filter"),
    "wiener_ratio": Metric("mean squared error divided by that of the best linear filter", "down"),
    "active": Metric("share of the code's units that are active", "down"),
    "bits": Metric("length of the code of one example", "down", "bits"),
    "prior_bits": Metric("length of the code under the learned prior", "down", "bits"),
    "vae_mse": Metric("mean squared error of the VAE it is compared with", "down"),
    "vae_bits": Metric("length of the code of the VAE it is compared with", "down", "bits"),
    "mse_ratio": Metric("mean squared error divided by that of the VAE it is compared with", "down"),
    "bits_ratio": Metric("length of the code divided by that of the VAE it is compared with", "down"),
}

AGENTS = {
    "return": Metric("sum of rewards of an episode, on average", "up"),
    "training_return": Metric("sum of rewards of the latest training episodes, on average", "up"),
    "length": Metric("steps of an episode, on average"),
    "success": Metric("share of episodes that reach the goal", "up"),
}

EXPLANATIONS = {
    "background_share": Metric("share of the saliency of test pictures that lies on their frame", "down"),
    "activation_growth": Metric("activation of the layer after the dream, over that before it", "up"),
    "content": Metric("squared distance of features from those of the photograph", "down"),
    "style": Metric("squared distance of Gram matrices from those of the style", "down"),
    "style_before": Metric("squared distance of Gram matrices from those of the style, of the photograph itself"),
    "style_ratio": Metric("style loss of the pictures made, over that of the photographs", "down"),
    "roughness": Metric("part of the loss: squared differences of neighbouring pixels", "down"),
}

SAMPLERS = {
    "r_hat": Metric("disagreement of the chains, 1 when they agree", "down"),
    "errors": Metric("worst estimated moment, in standard errors from the truth", "down"),
    "effective_draws": Metric("independent draws that the chains are worth", "up"),
    "kept": Metric("share of the stored patterns that recall leaves unchanged", "up"),
    "capacity": Metric("patterns for each unit at which one in ten is lost", "up"),
    "capacity_low": Metric("the lowest capacity among the draws", "up"),
    "capacity_high": Metric("the highest capacity among the draws", "up"),
    "error": Metric("mean squared error on new tasks after adaptation", "down"),
}

TRAINING = {
    "loss": Metric("what training minimises", "down"),
    "reconstruction": Metric("part of the loss: error of the reconstruction", "down"),
    "quantization": Metric("part of the loss: distance of codes from their codebook entries", "down"),
    "penalty": Metric("part of the loss: penalty on the code", "down"),
    "classification": Metric("part of the loss: negative log-likelihood of the labels", "down", "nats"),
    "adversarial": Metric("part of the loss: how well the discriminator tells the images apart"),
    "source": Metric("part of the loss: real or generated"),
    "class": Metric("part of the loss: the class", "down"),
    "box": Metric("part of the loss: corrections of the regions' corners", "down"),
    "objectness": Metric("part of the loss: whether an anchor holds an object", "down"),
    "anchor_box": Metric("part of the loss: corrections of the anchors' corners", "down"),
    "place": Metric("part of the loss: centres and sides of the boxes", "down"),
    "object": Metric("part of the loss: confidence where an object is", "down"),
    "empty": Metric("part of the loss: confidence where none is", "down"),
    "square": Metric("part of the loss: squared distance of the box", "down"),
    "data": Metric("mean energy of real examples"),
    "model": Metric("mean energy of generated examples"),
    "entropy": Metric("entropy of the policy", None, "nats"),
    "value": Metric("part of the loss: squared error of the predicted returns", "down"),
    "discriminator": Metric("loss of the discriminator"),
    "discriminators": Metric("loss of the discriminators"),
    "generator": Metric("loss of the generator"),
    "translators": Metric("loss of the two translators"),
    "critic": Metric("loss of the critic"),
    "actor": Metric("loss of the policy"),
    "log_alpha": Metric("loss of the entropy weight"),
    "q": Metric("loss of the action values", "down"),
    "encoder": Metric("loss of the encoder"),
    "decoder": Metric("loss of the decoder"),
    "posteriors": Metric("loss of the posteriors"),
    "reader": Metric("loss of the net that reads the latent code", "down"),
    "classifier": Metric("loss of the classifier", "down"),
    "net": Metric("loss of the net", "down"),
}

FORMER = {
    "fid": "frechet_distance",
    "fid_ratio": "frechet_ratio",
    "vae_fid": "vae_frechet_distance",
    "class_accuracy": "conditional_accuracy",
    "named": "conditional_accuracy",
    "asked_for": "conditional_accuracy",
    "probe": "probe_accuracy",
    "practice": "training_return",
    "distortion": "reconstruction",
}

METRICS: dict[str, Metric] = {
    **CLASSIFICATION,
    **GENERATION,
    **LIKELIHOOD,
    **RECONSTRUCTION,
    **AGENTS,
    **EXPLANATIONS,
    **SAMPLERS,
    **TRAINING,
    "rate": Metric("part of the loss: Kullback-Leibler divergence of the code from its prior", None, "nats"),
    "gain": Metric("improvement over the model it is compared with", "up"),
}


def explain(name: str) -> Metric:
    """What is known of a number; "generator/l1", a term of a player's loss, is explained as "l1"."""
    term = name.rpartition("/")[2]
    return METRICS.get(FORMER.get(term, term), UNKNOWN)
