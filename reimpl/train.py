"""Training under DP (or not): records and a recipe in, a folder out.

A run is `train(recipe, examples, out)`. What meets here:

    reimpl.recipe      Recipe, `load(id_or_file, variant=, scale=, dataset=, epsilon=)`. The schema is in its docstring
    reimpl.data        load(recipe.data.source, split, recipe.data.labels) -> records; "generated" at smoke scale
    reimpl.trainable   Example (source, target, label, unit): a record after the prompt of its label; the protocol
                       Trainable (module, collate, draw, per_record_loss, save, generate); an adapter module has
                       build(recipe, tokenizer) and load(folder)
    reimpl.vocabulary  tokenizer(recipe.data.vocabulary) -> PreTrainedTokenizerBase: "generated", a folder, a hub name
    reimpl.dpsgd       the private step; reimpl.ledger what it writes down

The folder of a run, written whole or not at all:

    OUT/recipe.json          the resolved recipe (`Recipe.from_json`)
    OUT/model.safetensors    with config.json and the tokenizer's files: what `adapter_module(...).load(OUT)` reads
    OUT/ledger.json          the ledger (audit/schemas/ledger.schema.json); its sha256 identifies the run
    OUT/checkpoint/          while running: weights and optimiser (safetensors) and state.json; gone when done
    OUT/private/             not for release: the key of the ledger's fingerprint

No loss of a private record is written anywhere.
"""
