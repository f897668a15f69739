# In: overlap tables. Out: figures with the numbers behind them, and one report folder per run to look at in the
# morning.


rule draw_figures:
    input:
        batch_sources,
    output:
        manifest="results/manifests/draw/{model}.{key}.{round}.json",
    log:
        "logs/draw_figures/{model}.{key}.{round}.log",
    localrule: True
    params:
        program=offline("draw_figures"),
        job=job,
    message:
        "Draw the figures of {wildcards.model}"
    shell:
        "exec &> >(tee {log:q}); {params.program} --job @{params.job:q} --manifest {output.manifest:q}"


rule write_report:
    input:
        sources,
    output:
        summary="results/report/{name}.{key}/summary.md",
        page=report(
            "results/report/{name}.{key}/report.html",
            caption="../report/page.rst",
            category="Report",
            labels={"run": "{name}", "what": "page with everything"},
        ),
        appendix=report(
            "results/report/{name}.{key}/appendix.pdf",
            caption="../report/appendix.rst",
            category="Report",
            labels={"run": "{name}", "what": "all figures"},
        ),
        figure=report(
            "results/report/{name}.{key}/headline.pdf",
            caption="../report/headline.rst",
            category="At a glance",
            labels={"run": "{name}", "what": "figure"},
        ),
        table=report(
            "results/report/{name}.{key}/headline.csv",
            caption="../report/headline.rst",
            category="At a glance",
            labels={"run": "{name}", "what": "numbers"},
        ),
        receipt="results/report/{name}.{key}.receipt.json",
    log:
        "logs/write_report/{name}.{key}.log",
    localrule: True
    params:
        program=offline("write_report"),
        recipe=recipe,
        parts=of_artifact(rule_inputs.inputs_as_json),
        folder="results/report/{name}.{key}",
    message:
        "Write the report of {wildcards.name}"
    shell:
        "exec &> >(tee {log:q}); {params.program} --recipe {params.recipe:q} --parts {params.parts:q}"
        " --output {params.folder:q}"
