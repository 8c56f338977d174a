"""Published architectures under the names that torchvision and timm give their tensors."""
