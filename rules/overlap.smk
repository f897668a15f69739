# In: the regions of one model. Out: tables of how far they overlap, raw and refined, with the chance floor: those of
# each method, and those of different methods on the weights that they own.


rule overlap:
    input:
        batch_sources,
    output:
        manifest="results/manifests/overlap/{model}.{key}.{round}.json",
    log:
        "logs/overlap/{model}.{key}.{round}.log",
    resources:
        mem_mb=memory("overlap"),
        runtime=minutes("overlap"),
    params:
        program=offline("overlap"),
        job=job,
    message:
        "Compare the regions of {wildcards.model}"
    shell:
        "exec &> >(tee {log:q}); {params.program} --job @{params.job:q} --manifest {output.manifest:q}"
