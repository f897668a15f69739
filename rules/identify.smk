# In: models and (prompt, response) pairs. Out: one region per model, method and set, nested over the grid of
# fractions.
#
# A job loads its model once and makes what is missing for all sets (machine.datasets_per_job artifacts at most), so
# adding a set computes that set only. It goes from set to set, and methods that look at the same pass of the model
# over a set share it. `measure` makes the statistics of the methods that keep a small one, from which `select_regions`
# derives regions, and the regions of those that keep none. `refine_regions` writes refined regions as files, which a run
# makes whose `goal` they are: tables are counted from the regions themselves.


rule measure:
    input:
        batch_sources,
    output:
        manifest="results/manifests/measure/{model}.{key}.{round}.json",
    log:
        "logs/measure/{model}.{key}.{round}.log",
    resources:
        mem_mb=memory("measure"),
        runtime=minutes("measure"),
        gpu=gpus("measure"),
    params:
        program=offline("measure"),
        job=job,
        device=MACHINE.device,
        batch_tokens=MACHINE.batch_tokens,
        layers=MACHINE.layers,
    message:
        "Measure the statistics, or regions, of {wildcards.model}"
    shell:
        "exec &> >(tee {log:q}); {params.program} --job @{params.job:q} --device {params.device}"
        " --batch-tokens {params.batch_tokens} --layers {params.layers} --manifest {output.manifest:q}"


rule select_regions:
    input:
        batch_sources,
    output:
        manifest="results/manifests/select/{model}.{key}.{round}.json",
    log:
        "logs/select_regions/{model}.{key}.{round}.log",
    resources:
        mem_mb=memory("select"),
        runtime=minutes("select"),
    params:
        program=offline("select_regions"),
        job=job,
        layers=MACHINE.layers,
    message:
        "Select the regions of {wildcards.model} from its statistics"
    shell:
        "exec &> >(tee {log:q}); {params.program} --job @{params.job:q} --layers {params.layers}"
        " --manifest {output.manifest:q}"


rule refine_regions:
    input:
        batch_sources,
    output:
        manifest="results/manifests/refine/{model}.{key}.{round}.json",
    log:
        "logs/refine_regions/{model}.{key}.{round}.log",
    resources:
        mem_mb=memory("refine"),
        runtime=minutes("refine"),
    params:
        program=offline("refine_regions"),
        job=job,
    message:
        "Take out of the safety regions of {wildcards.model} what its utility regions hold"
    shell:
        "exec &> >(tee {log:q}); {params.program} --job @{params.job:q} --manifest {output.manifest:q}"
