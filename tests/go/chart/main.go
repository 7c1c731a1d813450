// Renders a Helm chart as `helm template` does, with Helm's own engine and its check of the values'
// schema, and decodes every document strictly into the type that Kubernetes has for it: an unknown
// field, a wrong type or an unknown kind is an error.
//
//	chart DIRECTORY RELEASE NAMESPACE [VALUES.yaml]
package main

import (
	"fmt"
	"os"
	"sort"
	"strings"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	apps "k8s.io/api/apps/v1"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	rbac "k8s.io/api/rbac/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// The kinds that the chart may hold.
var kinds = map[string]func() any{
	"v1/ConfigMap":                                    func() any { return &core.ConfigMap{} },
	"v1/Pod":                                          func() any { return &core.Pod{} },
	"v1/Service":                                      func() any { return &core.Service{} },
	"v1/ServiceAccount":                               func() any { return &core.ServiceAccount{} },
	"apps/v1/DaemonSet":                               func() any { return &apps.DaemonSet{} },
	"apps/v1/Deployment":                              func() any { return &apps.Deployment{} },
	"apps/v1/StatefulSet":                             func() any { return &apps.StatefulSet{} },
	"batch/v1/Job":                                    func() any { return &batch.Job{} },
	"networking.k8s.io/v1/NetworkPolicy":              func() any { return &networking.NetworkPolicy{} },
	"policy/v1/PodDisruptionBudget":                   func() any { return &policy.PodDisruptionBudget{} },
	"rbac.authorization.k8s.io/v1/ClusterRole":        func() any { return &rbac.ClusterRole{} },
	"rbac.authorization.k8s.io/v1/ClusterRoleBinding": func() any { return &rbac.ClusterRoleBinding{} },
	"monitoring.coreos.com/v1/PodMonitor":             func() any { return &monitoring.PodMonitor{} },
	"monitoring.coreos.com/v1/PrometheusRule":         func() any { return &monitoring.PrometheusRule{} },
}

func check(document string) error {
	var head meta.TypeMeta
	if err := yaml.Unmarshal([]byte(document), &head); err != nil {
		return err
	}
	make, known := kinds[head.APIVersion+"/"+head.Kind]
	if !known {
		return fmt.Errorf("no kind %s/%s", head.APIVersion, head.Kind)
	}
	return yaml.UnmarshalStrict([]byte(document), make())
}

func render(directory, release, namespace string, values map[string]any) (map[string]string, error) {
	chart, err := loader.Load(directory)
	if err != nil {
		return nil, err
	}
	options := chartutil.ReleaseOptions{Name: release, Namespace: namespace, Revision: 1, IsInstall: true}
	// Checks values.schema.json too.
	all, err := chartutil.ToRenderValues(chart, values, options, chartutil.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	strict := engine.Engine{Strict: true}
	return strict.Render(chart, all)
}

func documents(file string) []string {
	var found []string
	for _, document := range strings.Split("\n"+file, "\n---") {
		document = strings.Trim(document, "\n")
		var content any
		if yaml.Unmarshal([]byte(document), &content) != nil || content != nil {
			found = append(found, document)
		}
	}
	return found
}

func run(arguments []string) error {
	values := map[string]any{}
	if len(arguments) > 3 {
		text, err := os.ReadFile(arguments[3])
		if err != nil {
			return err
		}
		if err := yaml.Unmarshal(text, &values); err != nil {
			return err
		}
	}
	files, err := render(arguments[0], arguments[1], arguments[2], values)
	if err != nil {
		return err
	}
	names := make([]string, 0, len(files))
	for name := range files {
		if strings.HasSuffix(name, ".yaml") {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	for _, name := range names {
		for _, document := range documents(files[name]) {
			if err := check(document); err != nil {
				return fmt.Errorf("%s: %w\n%s", name, err, document)
			}
			fmt.Printf("---\n# Source: %s\n%s\n", name, document)
		}
	}
	return nil
}

func main() {
	if len(os.Args) == 3 && os.Args[1] == "check" {
		text, err := os.ReadFile(os.Args[2])
		for _, document := range documents(string(text)) {
			if err == nil {
				err = check(document)
			}
		}
		exit(err)
		return
	}
	if len(os.Args) < 4 {
		exit(fmt.Errorf("chart DIRECTORY RELEASE NAMESPACE [VALUES.yaml], or chart check FILE"))
	}
	exit(run(os.Args[1:]))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
