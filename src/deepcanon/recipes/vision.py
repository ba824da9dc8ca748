"""Runs of image classification."""

from torch import nn

from deepcanon.data import augment, images
from deepcanon.engine import SGD, AdamW, Run, at_least, cosine, fit, linear, recipe
from deepcanon.layers.norm import Standardize
from deepcanon.layers.eval_blur import EvalBlur
from deepcanon.nets.lenet import LeNet
from deepcanon.nets.resnet import resnet18, resnet_cifar, small_stem
from deepcanon.vision.classify import Classifier


@recipe(target={"accuracy": at_least(0.991)}, seconds=30, published={"accuracy": 0.9905}, source="LeCun et al. 1998, LeNet-5 without distortions",
        paper="LeCun et al. 1998", rows=["VIS-08"])
def lenet_mnist(lr: float = 3e-3, batch: int = 64, steps: int = 1_200, smoothing: float = 0.05, seed: int = 0) -> Run:
    """LeNet, with ReLU, max pooling and 16 and 32 maps, reads MNIST digits; accuracy after half a minute."""
    net = LeNet(widths=(16, 32, 120, 84), activation=nn.ReLU, pool=nn.MaxPool2d, standardize=Standardize(0.1307, 0.3081))
    method = Classifier(net, label_smoothing=smoothing)
    train, test = images("mnist", batch=batch, seed=seed), images("mnist", split="test", batch=500)
    return fit(method, train, AdamW(lr, schedule=cosine(warmup=1 / 6)), steps=steps, seed=seed, evaluate=test)


@recipe(target={"accuracy": at_least(0.996)}, published={"accuracy": 0.992}, source="LeCun et al. 1998, LeNet-5 with distortions",
        paper="LeCun et al. 1998", rows=["VIS-08"])
def lenet_mnist_full(lr: float = 3e-3, batch: int = 128, epochs: int = 18, smoothing: float = 0.05, seed: int = 0) -> Run:
    """A wider LeNet with batch normalisation and dropout on distorted MNIST digits; weights averaged, test digits as soft as distorted ones."""
    net = LeNet(widths=(32, 64, 256, 128), activation=lambda: nn.Sequential(nn.ReLU(), nn.Dropout(0.2)), pool=nn.MaxPool2d,
                norm=nn.BatchNorm2d, standardize=nn.Sequential(EvalBlur(1.5 / 6), Standardize(0.1307, 0.3081)))
    method = Classifier(net, label_smoothing=smoothing)
    distort = augment.compose(augment.affine(degrees=12.0, translate=0.08, scale=(0.88, 1.12), shear=10.0), augment.elastic(20.0, p=0.5))
    train, test = images("mnist", batch=batch, seed=seed, augment=distort), images("mnist", split="test", batch=500)
    optimizer = AdamW(lr, weight_decay=0.02, schedule=cosine(warmup=0.05))
    return fit(method, train, optimizer, epochs=epochs, seed=seed, ema=0.999, evaluate=test, evaluate_every=len(train))


@recipe(target={"accuracy": at_least(0.9)}, seconds=60, paper="LeCun et al. 1998", rows=["VIS-08"])
def lenet_fashion(lr: float = 3e-3, batch: int = 64, steps: int = 3_000, smoothing: float = 0.05, seed: int = 0) -> Run:
    """LeNet, with ReLU, max pooling and 16 and 32 maps, sorts Fashion-MNIST."""
    net = LeNet(widths=(16, 32, 120, 84), activation=nn.ReLU, pool=nn.MaxPool2d, standardize=Standardize(0.286, 0.353))
    train, test = images("fashion", batch=batch, seed=seed, augment=augment.flip()), images("fashion", split="test", batch=500)
    return fit(Classifier(net, label_smoothing=smoothing), train, AdamW(lr, schedule=cosine(warmup=1 / 6)), steps=steps, seed=seed, evaluate=test)


@recipe(target={"accuracy": at_least(0.95)}, seconds=20, paper="LeCun et al. 1998", rows=["VIS-08"])
def lenet_digits(lr: float = 3e-3, batch: int = 32, steps: int = 600, seed: int = 0) -> Run:
    """LeNet reads scikit-learn's digits, enlarged to 28 pixels."""
    method = Classifier(LeNet(activation=nn.ReLU, pool=nn.MaxPool2d, standardize=Standardize(0.3, 0.35)), label_smoothing=0.05)
    distort = augment.affine(degrees=10.0, translate=0.05, scale=(0.9, 1.1))
    train, test = images("digits", size=28, batch=batch, seed=seed, augment=distort), images("digits", size=28, split="test", batch=360)
    return fit(method, train, AdamW(lr, schedule=cosine(warmup=1 / 12)), steps=steps, seed=seed, ema=0.99, evaluate=test, evaluate_every=100)


@recipe(target={"accuracy": at_least(0.929)}, seconds=240, paper="He et al. 2016", rows=["VIS-12"])
def resnet_fashion(lr: float = 0.1, batch: int = 128, epochs: int = 10, fast: bool = True, seed: int = 0) -> Run:
    """ResNet-14 in its CIFAR form (0.17 M parameters) sorts Fashion-MNIST."""
    method = Classifier(resnet_cifar(14, in_channels=1, standardize=Standardize(0.286, 0.353)))
    train, test = images("fashion", batch=batch, seed=seed, augment=augment.flip()), images("fashion", split="test", batch=500)
    optimizer = SGD(lr, momentum=0.9, nesterov=True, weight_decay=5e-4, schedule=linear(warmup=0.05))
    return fit(method, train, optimizer, epochs=epochs, seed=seed, bf16=fast, ema=0.99, evaluate=test, evaluate_every=len(train))


@recipe(target={"accuracy": at_least(0.95)}, paper="He et al. 2016", rows=["VIS-12"])
def resnet_fashion_full(lr: float = 0.1, batch: int = 128, epochs: int = 60, fast: bool = True, seed: int = 0) -> Run:
    """ResNet-18 in its CIFAR form (11 M parameters) sorts Fashion-MNIST with shifts, flips and erasing: sized for a GPU."""
    method = Classifier(resnet18(10, in_channels=1, stem=small_stem, standardize=Standardize(0.286, 0.353)), label_smoothing=0.05)
    change = augment.compose(augment.crop(2), augment.flip(), augment.erase())
    train, test = images("fashion", batch=batch, seed=seed, augment=change), images("fashion", split="test", batch=500)
    optimizer = SGD(lr, momentum=0.9, nesterov=True, weight_decay=5e-4, schedule=cosine(warmup=0.04))
    return fit(method, train, optimizer, epochs=epochs, seed=seed, bf16=fast, ema=0.999, evaluate=test, evaluate_every=len(train))


@recipe(target={"accuracy": at_least(0.95)}, seconds=30, paper="He et al. 2016", rows=["VIS-12"])
def resnet_digits(lr: float = 0.1, batch: int = 64, steps: int = 400, fast: bool = True, seed: int = 0) -> Run:
    """ResNet-14 in its CIFAR form reads scikit-learn's 8x8 digits."""
    method = Classifier(resnet_cifar(14, in_channels=1, standardize=Standardize(0.3, 0.38)))
    train, test = images("digits", batch=batch, seed=seed, augment=augment.crop(1)), images("digits", split="test", batch=360)
    optimizer = SGD(lr, momentum=0.9, nesterov=True, weight_decay=5e-4, schedule=linear(warmup=1 / 8))
    return fit(method, train, optimizer, steps=steps, seed=seed, bf16=fast, ema=0.99, evaluate=test, evaluate_every=100)


@recipe(paper="He et al. 2016", rows=["VIS-12"])
def classify_images(data: str = "digits", size: int = 32, depth: int = 14, width: int = 16, lr: float = 0.1, batch: int = 64, epochs: int = 20,
                    fast: bool = True, seed: int = 0) -> Run:
    """A residual net learns the classes of your own folder of photos, or of a named set."""
    change = augment.compose(augment.crop(size // 8), augment.flip(), augment.jitter(brightness=0.2, contrast=0.2))
    train = images(data, size=size, batch=batch, seed=seed, augment=change)
    test = images(data, size=size, batch=batch, split="test")
    channels, num_classes = train.shape[0], len(train.classes)
    centre = nn.BatchNorm2d(channels, affine=False)                              # gathers the mean and deviation of the photos
    method = Classifier(resnet_cifar(depth, num_classes, in_channels=channels, width=width, standardize=centre), label_smoothing=0.05)
    optimizer = SGD(lr, momentum=0.9, nesterov=True, weight_decay=5e-4, schedule=cosine(warmup=0.05))
    return fit(method, train, optimizer, epochs=epochs, seed=seed, bf16=fast, ema=0.99, evaluate=test, evaluate_every=len(train))
