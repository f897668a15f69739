# In: the dataset registry. Out: all rows of each set, and the sampled prompts of each set, as JSONL with receipts.


rule fetch_dataset:
    input:
        sources,
    output:
        rows="results/datasets/{name}.{key}.jsonl",
        receipt="results/datasets/{name}.{key}.jsonl.receipt.json",
    log:
        "logs/fetch_dataset/{name}.{key}.log",
    localrule: True
    params:
        program=networked("fetch_dataset"),
        recipe=recipe,
        options=dataset_options,
    message:
        "Fetch the dataset {wildcards.name}"
    shell:
        "exec &> >(tee {log:q}); {params.program} --recipe {params.recipe:q} {params.options}"
        " --output {output.rows:q}"


rule sample_prompts:
    input:
        sources,
    output:
        prompts="results/prompts/{name}.{key}.jsonl",
        receipt="results/prompts/{name}.{key}.jsonl.receipt.json",
    log:
        "logs/sample_prompts/{name}.{key}.log",
    localrule: True
    params:
        program=offline("sample_prompts"),
        recipe=recipe,
        rows=of_artifact(lambda prompts: prompts.inputs["rows"].path),
        earlier=of_artifact(rule_inputs.earlier_rows),
        apart=of_artifact(rule_inputs.prompts_apart),
    message:
        "Sample the prompts of {wildcards.name}"
    shell:
        "exec &> >(tee {log:q}); {params.program} --recipe {params.recipe:q} --rows {params.rows:q}"
        " --earlier {params.earlier:q} --apart {params.apart:q} --output {output.prompts:q}"


rule prompt_overlap:
    input:
        sources,
    output:
        table="results/prompt_overlap/prompt_overlap.{key}.csv",
        receipt="results/prompt_overlap/prompt_overlap.{key}.csv.receipt.json",
    log:
        "logs/prompt_overlap/{key}.log",
    localrule: True
    params:
        program=offline("prompt_overlap"),
        recipe=recipe,
        prompts=of_artifact(rule_inputs.named_inputs),
    message:
        "Count the prompts that the sets share"
    shell:
        "exec &> >(tee {log:q}); {params.program} --recipe {params.recipe:q}"
        " --prompts {params.prompts:q}"
        " --output {output.table:q}"
