# In: regions, and prompts that none was identified on. Out: what a model without a region's weights refuses, and how
# well it still writes, beside models without random regions of the same size.


rule evaluate:
    input:
        batch_sources,
    output:
        manifest="results/manifests/evaluate/{model}.{key}.{round}.json",
    log:
        "logs/evaluate/{model}.{key}.{round}.log",
    resources:
        mem_mb=memory("evaluate"),
        runtime=minutes("evaluate"),
        gpu=gpus("evaluate"),
    params:
        program=offline("evaluate"),
        job=job,
        device=MACHINE.device,
    message:
        "Take the regions out of {wildcards.model} and ask it again"
    shell:
        "exec &> >(tee {log:q}); {params.program} --job @{params.job:q} --device {params.device}"
        " --manifest {output.manifest:q}"
