# In: overlap tables. Out: figures with the numbers behind them, and one report folder per run to look at in the morning.


rule draw_figures:
    input:
        batch_sources,
    output:
        manifest="results/manifests/draw/{model}.{key}.{round}.json",
    log:
        "logs/draw_figures/{model}.{key}.{round}.log",
    benchmark:
        "logs/benchmarks/draw_figures/{model}.{key}.{round}.tsv"
    params:
        job=job,
    message:
        "Draw the figures of {wildcards.model}"
    shell:
        "exec &> >(tee {log:q}); {PYTHON} scripts/draw_figures.py --job {params.job:q} --manifest {output.manifest:q}"


rule write_report:
    input:
        sources,
    output:
        summary="results/report/{name}.{key}/summary.md",
        receipt="results/report/{name}.{key}.receipt.json",
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
