# In: the regions of one model. Out: tables of how far they overlap, raw and refined, with the chance floor: those of one
# method, and those of different methods on the weights that they own.


rule overlap:
    input:
        sources,
    output:
        pairs="results/overlap/{model}.{method}.{key}/pairs.parquet",
        nway="results/overlap/{model}.{method}.{key}/nway.parquet",
        sizes="results/overlap/{model}.{method}.{key}/sizes.parquet",
        receipt="results/overlap/{model}.{method}.{key}/receipt.json",
    log:
        "logs/overlap/{model}.{method}.{key}.log",
    benchmark:
        "logs/benchmarks/overlap/{model}.{method}.{key}.tsv"
    resources:
        mem_mb=2000,
    params:
        recipe=recipe,
        regions=paths,
        folder="results/overlap/{model}.{method}.{key}",
    message:
        "Compare the regions of {wildcards.method} on {wildcards.model}"
    shell:
        "exec &> >(tee {log:q}); {PYTHON} scripts/overlap.py --recipe {params.recipe:q} --regions {params.regions:q}"
        " --output {params.folder:q}"


rule compare_methods:
    input:
        sources,
    output:
        receipt="results/across/{model}.{key}/receipt.json",
    log:
        "logs/compare_methods/{model}.{key}.log",
    benchmark:
        "logs/benchmarks/compare_methods/{model}.{key}.tsv"
    resources:
        mem_mb=2000,
    params:
        recipe=recipe,
        inputs=paths,
        folder="results/across/{model}.{key}",
    message:
        "Compare the methods' regions of {wildcards.model}"
    shell:
        "exec &> >(tee {log:q}); {PYTHON} scripts/compare_methods.py --recipe {params.recipe:q} --inputs {params.inputs:q}"
        " --output {params.folder:q}"
