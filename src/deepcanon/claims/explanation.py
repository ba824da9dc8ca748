"""Claims about looking into nets: guided signals, pictures of classes, Gram matrices, maps of points."""

import torch
import torch.nn.functional as F
from sklearn.cluster import KMeans
from sklearn.datasets import make_moons
from sklearn.manifold import trustworthiness
from sklearn.metrics import adjusted_rand_score
from torch import Tensor, nn

from deepcanon.claims.experiment import Finding, above, below, claim, every, over_seeds
from deepcanon.data import arrays, images
from deepcanon.engine import Adam, fit
from deepcanon.explain.class_images import Prior, class_visualization
from deepcanon.explain.clusters import density_clusters
from deepcanon.explain.gradients import saliency
from deepcanon.explain.maximization import maximize
from deepcanon.explain.relu_rules import guided_backprop
from deepcanon.explain.sanity import share_inside
from deepcanon.explain.style_losses import gram
from deepcanon.explain.tsne import TSNE
from deepcanon.foundations.pca import PCA
from deepcanon.vision.classify import Classifier


def convolutional(classes: int) -> nn.Sequential:
    """Two convolutions, the largest value of each map, a linear layer."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
        nn.Linear(32, classes),
    )


def patterns(n: int) -> tuple[Tensor, Tensor, Tensor]:
    """Noise of 16 x 16 pixels with one of four patterns of 4 x 4 somewhere in it: images, classes, where
    the pattern is."""
    generator = torch.Generator().manual_seed(0)
    shapes = torch.rand(4, 1, 4, 4, generator=generator).round()
    x, y, inside = (
        0.5 * torch.rand(n, 1, 16, 16),
        torch.randint(4, (n,)),
        torch.zeros(n, 1, 16, 16, dtype=torch.bool),
    )
    for i, (top, left) in enumerate(torch.randint(13, (n, 2)).tolist()):
        x[i, :, top : top + 4, left : left + 4] = shapes[y[i]]
        inside[i, :, top : top + 4, left : left + 4] = True
    return x, y, inside


@claim("C-063", answer="yes")
def guided_signals_are_cleaner() -> Finding:
    """Guided backpropagation gives a cleaner signal than the gradient by dropping negative contributions.

    Noise of 16 x 16 pixels with one of four patterns of 4 x 4 in it, a convolutional net of 150 steps, five
    seeds: the share of the guided signal and of the gradient of 300 new images that lies inside the pattern,
    and the lead of the guided signal.
    """

    def experiment(seed: int) -> dict[str, float]:
        x, y, _ = patterns(2_000)
        new, label, inside = patterns(300)
        net = convolutional(4)
        run = fit(
            Classifier(net),
            arrays(x, y, batch=100, seed=seed),
            Adam(3e-3),
            steps=150,
            seed=seed,
            evaluate=arrays(new, label, batch=300, shuffle=False),
        )
        gradient, guided = (
            share_inside(f(net, new, label), inside).mean().item() for f in (saliency, guided_backprop)
        )
        return {
            "gradient": gradient,
            "guided": guided,
            "lead": guided - gradient,
            "accuracy": run.results["accuracy"],
        }

    means, ends = over_seeds(experiment)
    return Finding(means, above(ends["lead"], 0.0), intervals=ends)


@claim("C-064", answer="yes")
def probabilities_rise_by_lowering_others() -> Finding:
    """Maximising the probability of a class after the softmax may lower the other logits instead of raising
    its own.

    A hundred digits, led towards the ten classes in turn by 20 steps of equal length on the logit and on the
    log-probability of a net that knows the digits, five seeds: by how much the class's logit and the mean of
    the others change, and by how much more the class's logit gains on the first.
    """

    def experiment(seed: int) -> dict[str, float]:
        net = convolutional(10)
        fit(Classifier(net), images("digits", batch=100, seed=seed), Adam(3e-3), steps=300, seed=seed)
        start, y = images("digits", split="test", batch=100).at(0)[0], torch.arange(100) % 10
        prior, changes = Prior(0.0, 0.0, 1, 0.0, 0), {}
        own = F.one_hot(y, 10).bool()
        for name, after_softmax in (("logit", False), ("probability", True)):
            x = class_visualization(
                net, y, start, rate=0.05, steps=20, prior=prior, after_softmax=after_softmax
            )
            with torch.no_grad():
                change = net(x) - net(start)
            changes[f"{name}_own"], changes[f"{name}_others"] = (
                change[own].mean().item(),
                change[~own].mean().item(),
            )
        return changes | {"own_lost": changes["logit_own"] - changes["probability_own"]}

    means, ends = over_seeds(experiment)
    holds = every(below(ends["probability_others"], 0.0), above(ends["own_lost"], 0.0))
    return Finding(
        means, holds, "Both happen at once: here the class's own logit rises as well, by less.", ends
    )


@claim("C-065", answer="yes")
def without_a_regularizer_images_go_crazy() -> Finding:
    """Without a regularizer the optimisation of an image goes crazy.

    A linear unit and a rectified one of 16 inputs: the norm of x after 100 and after 1,000 steps of gradient
    ascent at a rate of 0.1 without a penalty, and with -0.5 ||x||^2, whose maximum has the norm of the
    weights.
    """
    w = torch.randn(16, dtype=torch.float64)
    measured = {"weights": w.norm().item()}
    for name, unit in (("linear", lambda x: x @ w), ("relu", lambda x: (x @ w).relu())):
        for steps in (100, 1_000):
            for kind, decay in (("free", 0.0), ("penalised", 0.5)):
                x, _ = maximize(unit, 0.1 * w[None], rate=0.1, steps=steps, decay=decay)
                measured[f"{name}_{kind}_{steps}"] = x.norm().item()
    grows = all(measured[f"{u}_free_1000"] > 9 * measured[f"{u}_free_100"] for u in ("linear", "relu"))
    stays = all(abs(measured[f"{u}_penalised_1000"] - measured["weights"]) < 1e-6 for u in ("linear", "relu"))
    return Finding(measured, grows and stays)


@claim("C-066", answer="yes")
def gram_matrices_know_no_place() -> Finding:
    """The Gram matrix of features discards spatial information.

    Features of eight channels on 12 x 12 positions, in a random order of the positions: the largest change of
    the Gram matrix, and of the features.
    """
    f = torch.randn(1, 8, 12, 12, dtype=torch.float64)
    shuffled = f.flatten(2)[:, :, torch.randperm(144)].view_as(f)
    measured = {
        "gram_change": (gram(shuffled) - gram(f)).abs().max().item(),
        "feature_change": (shuffled - f).abs().max().item(),
    }
    return Finding(measured, measured["gram_change"] < 1e-12 < measured["feature_change"])


@claim("C-067", answer="yes")
def density_finds_what_means_do_not() -> Finding:
    """k-means fails on clusters that are not spherical, as t-SNE maps have them; DBSCAN and HDBSCAN find
    them.

    Two interleaved moons of 200 points each: the adjusted Rand index of the clusters with the moons.
    """
    x, y = make_moons(400, noise=0.05, random_state=0)
    points = torch.from_numpy(x)
    found = {
        "kmeans": KMeans(2, n_init=10, random_state=0).fit_predict(x),  # pyright: ignore[reportArgumentType]
        "dbscan": density_clusters(points, radius=0.2),
        "hdbscan": density_clusters(points, least=10),
    }
    measured = {name: float(adjusted_rand_score(y, labels)) for name, labels in found.items()}
    return Finding(measured, measured["kmeans"] < 0.6 and measured["dbscan"] == measured["hdbscan"] == 1)


@claim("C-068", answer="yes")
def tsne_keeps_neighbours() -> Finding:
    """t-SNE preserves local and not global distances.

    600 digits in two dimensions: the trustworthiness of ten neighbours, and the correlation of the distances
    above the median with those in the map, of t-SNE and of two principal components.
    """
    x = images("digits", batch=600, shuffle=False).at(0)[0].flatten(1)
    maps = {"tsne": TSNE().fit(x), "pca": PCA.fit(x, 2).encode(x)}
    distances = torch.pdist(x)
    far, measured = distances > distances.median(), {}
    for name, y in maps.items():
        measured[f"{name}_trustworthiness"] = float(trustworthiness(x.numpy(), y.numpy(), n_neighbors=10))
        measured[f"{name}_far"] = torch.corrcoef(torch.stack([distances[far], torch.pdist(y)[far]]))[
            0, 1
        ].item()
    holds = measured["tsne_trustworthiness"] > 0.95 and measured["tsne_far"] < measured["pca_far"]
    return Finding(measured, holds)
