# In: the regions of one model and method. Out: tables of how far they overlap, raw and refined, with the chance floor.


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
