"""Networks: tensors in, tensors out, no loss."""

from typing import TYPE_CHECKING

from deepcanon.lazy import attach

if TYPE_CHECKING:
    from deepcanon.nets import resnet as resnet
    from deepcanon.nets.alexnet import AlexNet as AlexNet, two_towers as two_towers
    from deepcanon.nets.biggan import BigDiscriminator as BigDiscriminator, BigGenerator as BigGenerator
    from deepcanon.nets.caption_decoder import (
        AdditiveAttention as AdditiveAttention,
        CaptionDecoder as CaptionDecoder,
        conv_maps as conv_maps,
    )
    from deepcanon.nets.conditional import Joined as Joined, Projected as Projected
    from deepcanon.nets.conv4 import Conv4 as Conv4
    from deepcanon.nets.conv_coder import conv_decoder as conv_decoder, conv_encoder as conv_encoder
    from deepcanon.nets.conv_net import ConvNet as ConvNet
    from deepcanon.nets.coupling import coupling_net as coupling_net
    from deepcanon.nets.dcgan import discriminator64 as discriminator64, generator64 as generator64
    from deepcanon.nets.densenet import (
        DenseNet as DenseNet,
        densenet121 as densenet121,
        densenet169 as densenet169,
        densenet_cifar as densenet_cifar,
    )
    from deepcanon.nets.fcn import FCN as FCN
    from deepcanon.nets.fitted import (
        fitted_alexnet as fitted_alexnet,
        fitted_densenet as fitted_densenet,
        fitted_googlenet as fitted_googlenet,
        fitted_vgg as fitted_vgg,
    )
    from deepcanon.nets.gigagan import GigaGenerator as GigaGenerator
    from deepcanon.nets.googlenet import GoogLeNet as GoogLeNet, Inception as Inception
    from deepcanon.nets.gpt import GPT as GPT
    from deepcanon.nets.image_transformer import (
        ImageTransformer as ImageTransformer,
        local_1d as local_1d,
        local_2d as local_2d,
    )
    from deepcanon.nets.lenet import LeNet as LeNet
    from deepcanon.nets.made import MADE as MADE
    from deepcanon.nets.maps import residual_maps as residual_maps
    from deepcanon.nets.members import StackedMLPs as StackedMLPs
    from deepcanon.nets.patchgan import LocalTranslator as LocalTranslator, Translator as Translator
    from deepcanon.nets.perceptron import mlp as mlp
    from deepcanon.nets.pixelcnn import (
        GatedLayer as GatedLayer,
        GatedPixelCNN as GatedPixelCNN,
        PixelCNN as PixelCNN,
    )
    from deepcanon.nets.pixelrnn import (
        DiagonalBiLSTM as DiagonalBiLSTM,
        PixelRNN as PixelRNN,
        RowLSTM as RowLSTM,
    )
    from deepcanon.nets.progressive import (
        GrowingDiscriminator as GrowingDiscriminator,
        GrowingGenerator as GrowingGenerator,
    )
    from deepcanon.nets.resmlp import ResidualMLP as ResidualMLP
    from deepcanon.nets.resnet import (
        ResNet as ResNet,
        resnet18 as resnet18,
        resnet34 as resnet34,
        resnet50 as resnet50,
        resnet101 as resnet101,
        resnet152 as resnet152,
        resnet_cifar as resnet_cifar,
    )
    from deepcanon.nets.segmentation_unet import SegmentationUNet as SegmentationUNet
    from deepcanon.nets.segnet import SegNet as SegNet
    from deepcanon.nets.staged import three_stages as three_stages
    from deepcanon.nets.style_net import StyleNet as StyleNet
    from deepcanon.nets.swin import Swin as Swin
    from deepcanon.nets.text_encoder import TextEncoder as TextEncoder
    from deepcanon.nets.unet import UNet as UNet
    from deepcanon.nets.vgg import vgg_net as vgg_net
    from deepcanon.nets.vit import ViT as ViT, resize_vit as resize_vit, resized_positions as resized_positions
    from deepcanon.nets.wavenet import WaveNet as WaveNet

attach(__name__)
