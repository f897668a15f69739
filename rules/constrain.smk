# In: models, regions, benign pairs to train on, and prompts that none was identified on. Out: what each model refuses in
# the course of a fine-tuning with a region frozen, with a control or nothing frozen, and with weights put back.


rule constrain:
    input:
        batch_sources,
    output:
        manifest="results/manifests/constrain/{model}.{key}.{round}.json",
    log:
        "logs/constrain/{model}.{key}.{round}.log",
    resources:
        mem_mb=memory("constrain"),
        runtime=minutes("constrain"),
        gpu=gpus("constrain"),
    params:
        program=offline("constrain"),
        job=job,
        device=MACHINE.device,
    message:
        "Fine-tune {wildcards.model} under a constraint and ask it again"
    shell:
        "exec &> >(tee {log:q}); {params.program} --job @{params.job:q} --device {params.device}"
        " --manifest {output.manifest:q}"
