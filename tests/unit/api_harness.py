"""A provider and the fake API that it reads, for the tests of the Kubernetes provider."""

from fake_kubernetes import FakeKubernetes
from ovnmesh.errors import ProviderError
from ovnmesh.providers.kubernetes.provider import KubernetesProvider
from servers import wait_for


class ApiHarness:
    """Implements `provider_contract.Harness`; ends with its context."""

    def __init__(self, folder, certificate=None):
        self.api = FakeKubernetes(certificate)
        self.kubeconfig = self.api.kubeconfig(folder / "kubeconfig")
        self.provider = KubernetesProvider(self.kubeconfig)
        self.put, self.delete = self.api.put, self.api.delete
        self.take_away, self.bring_back = self.api.stop, self.api.start

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.api.close()

    def problem(self):
        """Why the provider cannot be read, "" if it can."""
        try:
            self.provider.read()
        except ProviderError as error:
            return str(error)
        return ""

    def asked(self, *verbs):
        """Plurals of the collections asked for with some verbs, one for each request."""
        return [call.resource for call in self.api.store.calls if call.verb in verbs]


def wait_for_state(harness, condition):
    """Wait until the provider reads and what it reads is so."""

    def holds():
        try:
            return condition(harness.provider.read())
        except ProviderError:
            return False

    wait_for(holds, 15)
