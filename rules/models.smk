# In: the model registry, rows and prompts. Out: a checked model folder per model, each model's answers to each prompt
# set, and a safety adapter for a model that has none of its own, where a method needs one.


rule fetch_model:
    input:
        sources,
    output:
        config="results/models/{model}.{key}/config.json",
        receipt="results/models/{model}.{key}.receipt.json",
    log:
        "logs/fetch_model/{model}.{key}.log",
    wildcard_constraints:
        model=rule_inputs.either(name for name, made in PLAN.models.items() if not made.recipe.is_trained),
    localrule: True
    resources:
        mem_mb=8000,
        runtime=240,
    params:
        program=networked("prepare_model"),
        recipe=recipe,
        folder="results/models/{model}.{key}",
        options=model_options,
    message:
        "Fetch the model {wildcards.model}"
    shell:
        "exec &> >(tee {log:q}); {params.program} --recipe {params.recipe:q} {params.options}"
        " --output {params.folder:q}"


rule train_model:
    input:
        sources,
    output:
        config="results/models/{model}.{key}/config.json",
        receipt="results/models/{model}.{key}.receipt.json",
    log:
        "logs/train_model/{model}.{key}.log",
    wildcard_constraints:
        model=rule_inputs.either(name for name, made in PLAN.models.items() if made.recipe.is_trained),
    resources:
        mem_mb=memory("train"),
        runtime=minutes("train"),
        gpu=gpus("train"),
    params:
        program=offline("prepare_model"),
        recipe=recipe,
        folder="results/models/{model}.{key}",
        inputs=of_artifact(rule_inputs.training_options),
        options=model_options,
        device=MACHINE.device,
    message:
        "Train the model {wildcards.model}"
    shell:
        "exec &> >(tee {log:q}); {params.program}"
        " --recipe {params.recipe:q} {params.inputs} {params.options} --device {params.device}"
        " --output {params.folder:q}"


rule respond:
    input:
        batch_sources,
    output:
        manifest="results/manifests/respond/{model}.{key}.{round}.json",
    log:
        "logs/respond/{model}.{key}.{round}.log",
    resources:
        mem_mb=memory("respond"),
        runtime=minutes("respond"),
        gpu=gpus("respond"),
    params:
        program=offline("respond"),
        job=job,
        device=MACHINE.device,
    message:
        "Answer the prompts of all sets: {wildcards.model}"
    shell:
        "exec &> >(tee {log:q}); {params.program} --job @{params.job:q} --device {params.device}"
        " --manifest {output.manifest:q}"


rule give_responses:
    input:
        batch_sources,
    output:
        manifest="results/manifests/give/{policy}.{key}.{round}.json",
    log:
        "logs/give_responses/{policy}.{key}.{round}.log",
    wildcard_constraints:
        policy="template|dataset|borrowed",
    localrule: True
    params:
        program=offline("respond"),
        job=job,
    message:
        "Give the prompts responses that no model has to: {wildcards.policy}"
    shell:
        "exec &> >(tee {log:q}); {params.program} --job @{params.job:q} --manifest {output.manifest:q}"


rule train_adapter:
    input:
        sources,
    output:
        config="results/adapters/{model}.{key}/lora.json",
        receipt="results/adapters/{model}.{key}.receipt.json",
    log:
        "logs/train_adapter/{model}.{key}.log",
    resources:
        mem_mb=memory("train"),
        runtime=minutes("train"),
        gpu=gpus("train"),
    params:
        program=offline("train_adapter"),
        recipe=recipe,
        folder="results/adapters/{model}.{key}",
        model=of_artifact(lambda adapter: adapter.inputs["model"].path),
        data=of_artifact(rule_inputs.training_data),
        device=MACHINE.device,
    message:
        "Train a safety adapter for {wildcards.model}"
    shell:
        "exec &> >(tee {log:q}); {params.program} --recipe {params.recipe:q} --model {params.model:q}"
        " --data {params.data:q} --device {params.device} --output {params.folder:q}"
