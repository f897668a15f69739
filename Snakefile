# Do safety-aligned language models hold safety regions?
#
#   datasets -> prompts -> responses -> statistics and regions -> overlap tables, evaluation, constraint -> figures -> report
#
# config/ is about science, profiles/ about machines. Every output's path carries the digest of its recipe, so what is
# on disk is never out of date: another recipe is another path. See docs/incrementality.md.

if not workflow.configfiles:

    configfile: "config/demo.yaml"


# Opens what `snakemake --report report.zip` writes.
report: "report/workflow.rst"


# Used with `--software-deployment-method apptainer` only; docs/cluster.md says how it is made.
container: "envs/safety-regions.sif"


include: "rules/common.smk"
include: "rules/data.smk"
include: "rules/models.smk"
include: "rules/identify.smk"
include: "rules/overlap.smk"
include: "rules/evaluate.smk"
include: "rules/constrain.smk"
include: "rules/report.smk"


# `localrule`: on a cluster it runs where snakemake does. Such take seconds, and they alone may need a network.
#
# The first rule is what a plain `snakemake` makes, unless a Snakefile that imports this one has its own.
rule all:
    input:
        targets,
    localrule: True


rule prefetch:
    input:
        downloads,
    localrule: True


onstart:
    refuse_to_work_twice()
    write_jobs()
    warm_up()


onsuccess:
    sweep()
    show_report()


onerror:
    tell_failures()
