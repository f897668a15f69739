"""Tiny classifiers of texts with random weights, saved as those of the Hub are."""

from pathlib import Path

import torch
from random_models import byte_tokenizer
from transformers import BertConfig, BertForSequenceClassification

from safety_regions.config.models import ModelSpec
from safety_regions.models.model_files import folder_digest
from safety_regions.models.sources import Inputs
from safety_regions.planning.recipes.models import model_recipe
from safety_regions.steps.prepare_model import prepare_model

LABELS = {"REJECTION": "refuses", "NORMAL": "answers"}
TOLD_APART = ("I can't help with that.", "Sure, here it is.", "No.", "Well, that depends.", "To begin with, take one.")
THREE = {"GIBBERISH": "degenerate", "NORMAL": "answers", "REJECTION": "refuses"}


def save_classifier(folder: Path, labels: dict[str, str], seed: int = 0) -> Path:
    """Classes are in the order of the labels; none is far above the others, so that texts are told apart."""
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=258,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=48,
        id2label=dict(enumerate(labels)),
        label2id={label: index for index, label in enumerate(labels)},
    )
    model = BertForSequenceClassification(config)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() == 2:
                weight.normal_(0, 0.5)
    tokenizer = byte_tokenizer()
    with torch.no_grad():
        logits = [model(torch.tensor([tokenizer(text)["input_ids"]])).logits[0] for text in TOLD_APART]
        model.classifier.bias -= torch.stack(logits).mean(dim=0)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def classifier_entry(folder: Path, labels: dict[str, str], **more: object) -> dict:
    """Of a model registry."""
    digest = folder_digest(folder, scored=False)
    source = {"kind": "classifier", "path": str(folder), "sha256": digest, "labels": labels, **more}
    return {"source": source, "licence": "none", "citation": "none"}


def prepared_judge(folder: Path, files: Path, labels: dict[str, str], **more: object) -> str:
    """Prepare the judge of these files in a folder; the digest of its recipe."""
    recipe = model_recipe("judge", ModelSpec.model_validate(classifier_entry(files, labels, **more)))
    prepare_model(recipe, folder, Inputs(local=str(files)), "none", "none")
    return recipe.digest
