# The commands of this project. `make` alone lists them; each sets up what it needs and says what it does meanwhile.

PYTHON ?= python3
STACK ?= local
JOBS ?= 2
BIN := .venv/bin
SETUP := $(PYTHON) tools/setup.py
SOURCES := components tools tests benchmarks __main__.py .github/actions
# each runs, also after another has failed
LINT := $(BIN)/ruff format --check $(SOURCES) || failed=1; $(BIN)/ruff check $(SOURCES) || failed=1; $(BIN)/mypy || failed=1

.DEFAULT_GOAL := help
.PHONY: help up down test test-clouds e2e e2e-all e2e-cluster e2e-managed e2e-vm bench fmt lint engine lock dev

help: ## this list
	@awk -F ' *## *' '/^[a-z0-9-]+:.*## / { split($$1, t, ":"); printf "  make %-8s %s\n", t[1], $$2 }' $(MAKEFILE_LIST)
	@echo; echo "  STACK=docker picks another stack, PYTHON=python3.12 another Python, ARGS=... goes to the program"

up: ## set everything up and deploy the stack (STACK=local): the app serves when this ends
	@$(SETUP) --stack $(STACK)
	@$(BIN)/python tools/base_image.py --stack $(STACK) || true # the deployment itself says what is missing
	@$(BIN)/anytier up --stack $(STACK) $(ARGS)

down: ## take what `make up` deployed away again
	@$(SETUP) --stack $(STACK)
	@$(BIN)/anytier down --stack $(STACK) $(ARGS)

.PHONY: cloud
cloud: ## the conformance suite at the stack's real cloud (STACK=eks): says what it costs, asks (YES=1 says yes), takes all down
	@$(SETUP) --stack $(STACK)
	@$(BIN)/python tools/cloud.py $(STACK) $(if $(YES),--yes)

test: dev ## all checks and every test that needs no Docker daemon
	@failed=0; $(LINT); tools/pytest.sh -n $(JOBS) $(ARGS) || failed=1; exit $$failed

test-clouds: dev ## the tests of EKS, GKE and AKS with the clouds' SDKs, which come with it; their plugins are stand-ins
	@tools/test_clouds.sh $(ARGS)

e2e: dev ## whole stacks on real places: this machine, and a Docker daemon where one answers
	@tools/e2e.sh $(ARGS)

e2e-all: dev ## the e2e suite with all that CI leaves out for want of time
	@ANYTIER_AT_LENGTH=1 tools/e2e.sh $(ARGS)

e2e-cluster: dev ## Kubernetes clusters at length, their software and the engine's plugin built first where they must be
	@ANYTIER_AT_LENGTH=1 tools/e2e.sh tests/e2e/test_kubeadm.py tests/e2e/test_conformance_kubeadm.py tests/e2e/test_ingress_kubeadm.py tests/e2e/test_metrics_kubeadm.py tests/e2e/test_packages_kubeadm.py tests/e2e/test_policies_kubeadm.py tests/e2e/test_shop_kubeadm.py tests/e2e/test_pages_at_length.py::test_what_pages_show_of_a_cluster_is_what_happens tests/e2e/test_kubernetes.py tests/provider/kubeadm tests/provider/kubernetes tests/render/kubernetes $(ARGS)

e2e-managed: dev ## the conformance suite on EKS, GKE and AKS whose clouds are stood in, on a cluster that is real
	@ANYTIER_AT_LENGTH=1 tools/e2e.sh tests/e2e/test_conformance_managed.py tests/e2e/test_standins_tiers.py tests/e2e/test_standins.py tests/e2e/test_pages_at_length.py::test_what_pages_show_of_a_managed_cluster_is_what_happens $(ARGS)

e2e-vm: dev ## virtual machines at length: another image, two machines, Docker, the shop, the conformance suite
	@ANYTIER_AT_LENGTH=1 tools/e2e.sh tests/e2e/test_libvirt.py tests/e2e/test_shop_libvirt.py tests/e2e/test_conformance_libvirt.py tests/e2e/test_vm_cluster.py tests/e2e/test_docker_vm.py $(ARGS)

bench: dev ## measure; writes the table in docs/benchmarks.md and a JSON beside it
	@$(BIN)/python -m benchmarks $(ARGS)

fmt: dev ## format the code, and mend what the linter can mend
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

lint: dev ## formatter, linter and type checker, changing nothing
	@failed=0; $(LINT); exit $$failed

engine: ## get the Pulumi engine only
	@$(SETUP)

.PHONY: docs
docs: dev ## make the pages anew that are made from the code
	@$(BIN)/anytier schema > .schema && mv .schema components/anytier/spec/app.schema.json
	@$(BIN)/anytier matrix --markdown > .page && mv .page docs/capabilities.md
	@$(BIN)/anytier matrix --hypervisors --markdown > .page && mv .page docs/hypervisors.md
	@$(BIN)/python -m anytier.report.manual docs/cli.md
	@$(BIN)/python -m anytier.report.policy docs/policy.md
	@$(BIN)/python -m anytier.report.specpage docs/spec.md
	@$(BIN)/python -m anytier.measure.page docs/measure.md
	@$(BIN)/python -m anytier.report.said.page docs/errors.md

lock: dev ## write requirements/*.lock anew from pyproject.toml; UPGRADE=1 takes newer versions
	@$(BIN)/python tools/lock.py $(if $(UPGRADE),--upgrade)

dev:
	@$(SETUP) --extra dev
