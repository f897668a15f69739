# In: overlap tables. Out: figures with the numbers behind them, and one report folder per run to look at in the morning.


rule draw_figures:
    input:
        sources,
    output:
        receipt="results/figures/{model}.{method}.{key}/receipt.json",
    log:
        "logs/draw_figures/{model}.{method}.{key}.log",
    benchmark:
        "logs/benchmarks/draw_figures/{model}.{method}.{key}.tsv"
    params:
        recipe=recipe,
        overlap=lambda wildcards: artifact(wildcards).inputs["overlap"].path,
        folder="results/figures/{model}.{method}.{key}",
    message:
        "Draw the figures of {wildcards.method} on {wildcards.model}"
    shell:
        "exec &> >(tee {log:q}); {PYTHON} scripts/draw_figures.py --recipe {params.recipe:q} --overlap {params.overlap:q}"
        " --output {params.folder:q}"


rule draw_layer_curves:
    input:
        sources,
    output:
        receipt="results/curves/{model}.{method}.{key}/receipt.json",
    log:
        "logs/draw_layer_curves/{model}.{method}.{key}.log",
    benchmark:
        "logs/benchmarks/draw_layer_curves/{model}.{method}.{key}.tsv"
    params:
        recipe=recipe,
        regions=paths,
        folder="results/curves/{model}.{method}.{key}",
    message:
        "Draw how {wildcards.method} found its layers of {wildcards.model}"
    shell:
        "exec &> >(tee {log:q}); {PYTHON} scripts/draw_layer_curves.py --recipe {params.recipe:q} --regions {params.regions:q}"
        " --output {params.folder:q}"


rule write_report:
    input:
        sources,
    output:
        receipt="results/report/{name}.{key}/receipt.json",
    log:
        "logs/write_report/{name}.{key}.log",
    benchmark:
        "logs/benchmarks/write_report/{name}.{key}.tsv"
    params:
        recipe=recipe,
        parts=paths,
        folder="results/report/{name}.{key}",
    message:
        "Write the report of {wildcards.name}"
    shell:
        "exec &> >(tee {log:q}); {PYTHON} scripts/write_report.py --recipe {params.recipe:q} --parts {params.parts:q}"
        " --output {params.folder:q}"
