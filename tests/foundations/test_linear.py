"""The linear classifier: its worked example, what its bias learns, and what it cannot."""

import pytest
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression

from deepcanon import recipes
from deepcanon.engine import options
from deepcanon.foundations.linear import LinearClassifier
from deepcanon.foundations.losses import squared_error


def descend(method: torch.nn.Module, batch, steps: int = 300) -> None:
    """To the minimum of a convex loss."""
    optimizer = torch.optim.LBFGS(method.parameters(), max_iter=steps, tolerance_grad=1e-9, tolerance_change=1e-14, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = method.loss(batch)
        loss.backward()
        return loss

    optimizer.step(closure)


@pytest.mark.row("FND-08")
def test_the_scores_of_a_2x2_image():
    """Only the cat's row of W is known; the rows of the others are chosen to give their printed scores."""
    method = LinearClassifier(4, 3).double()
    image = torch.tensor([[[10.0, 150.0], [7.0, 232.0]]], dtype=torch.float64)
    with torch.no_grad():
        method.weight.copy_(torch.tensor([[0.2, -0.3, 0.0, 0.6], [0.0, 0.0, 0.0, 213.8 / 232], [0.0, 0.0, 26.0, 0.0]]))
        method.bias.copy_(torch.tensor([0.2, -1.0, -0.9]))
    torch.testing.assert_close(method.scores(image), torch.tensor([[96.4, 212.8, 181.1]], dtype=torch.float64), atol=1e-4, rtol=0)
    assert method.predict(image).argmax().item() == 1                            # a car


@pytest.mark.row("FND-08")
def test_the_bias_carries_how_frequent_the_classes_are():
    shares = torch.tensor([0.1, 0.6, 0.3])
    y = torch.arange(3).repeat_interleave((200 * shares).round().long())
    for x in (torch.zeros(200, 5), torch.randn(5).expand(200, 5)):               # features that tell nothing
        method = LinearClassifier(5, 3)
        descend(method, (x, y))
        torch.testing.assert_close(method.predict(x[:1])[0], shares, atol=1e-4, rtol=0)
        if not x.any():
            torch.testing.assert_close(method.bias.softmax(0), shares, atol=1e-4, rtol=0)


@pytest.mark.row("FND-08")
def test_the_trained_classifier_equals_scikit_learns():
    x, w = torch.randn(300, 4, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64)
    y = torch.distributions.Categorical(logits=x @ w).sample()
    method = LinearClassifier(4, 3).double()
    descend(method, (x, y))
    theirs = LogisticRegression(C=float("inf"), tol=1e-10, max_iter=1_000).fit(x, y)
    torch.testing.assert_close(method.predict(x), torch.from_numpy(theirs.predict_proba(x)), atol=1e-4, rtol=0)
    metrics = method.metrics((x, y))
    assert metrics["accuracy"].mean().item() == pytest.approx(theirs.score(x, y))
    torch.testing.assert_close(metrics["nll"].mean(), F.cross_entropy(method.scores(x), y))


def test_templates_are_the_rows_as_images():
    method = LinearClassifier(4, 2)
    assert torch.equal(method.templates(1, 2, 2), torch.full((2, 1, 2, 2), 0.5))
    with torch.no_grad():
        method.weight[1] = torch.tensor([2.0, -2.0, 0.0, 1.0])
    assert method.templates(1, 2, 2)[1].tolist() == [[[1.0, 0.0], [0.5, 0.75]]]


def test_refuses_labels_and_sizes_that_do_not_fit():
    method = LinearClassifier(4, 3)
    with pytest.raises(ValueError, match=r"labels must lie in 0\.\.2, got 0\.\.3"):
        method.loss((torch.zeros(2, 1, 2, 2), torch.tensor([0, 3])))
    with pytest.raises(ValueError, match="images of 4 values, got 9"):
        method.predict(torch.zeros(1, 1, 3, 3))


@pytest.mark.parametrize("name", [pytest.param("linear", marks=pytest.mark.row("FND-08")),
                                  pytest.param("mlp", marks=pytest.mark.row("FND-10"))])
def test_recipes_learn_within_a_few_steps(name, workplace):
    with options(quiet=True):
        assert getattr(recipes, name)("digits", steps=60).results["accuracy"] > 0.7


@pytest.mark.row("FND-04")
@pytest.mark.parametrize("name", ["linear", "mlp"])
def test_of_a_table_with_a_number_to_predict_the_recipes_learn_regression(name, workplace):
    """y = 20 a - 5 b + 100 with noise of deviation 1: by least squares the error on rows that were not seen is near 1."""
    a, b, noise = torch.randn(3, 600)
    rows = [f"{u:.4f},{v:.4f},{w:.4f}" for u, v, w in zip(a, b, 20 * a - 5 * b + 100 + noise)]
    (workplace / "plot.csv").write_text("\n".join(["a,b,yield", *rows]))
    with options(quiet=True):
        run = getattr(recipes, name)("plot.csv", steps=800)
    assert 0.5 < run.results["mse"] < {"linear": 1.5, "mlp": 3.0}[name]
    assert "accuracy" not in run.results
    x, y = torch.randn(9, 2), torch.randn(9)
    torch.testing.assert_close(run.method.metrics((x, y))["mse"], squared_error(run.method.predict(x), y))
