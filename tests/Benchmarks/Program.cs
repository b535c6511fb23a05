using Huzhu.Benchmarks;

// Every benchmark registers itself here: its name on the command line, and what it runs.
var benchmarks = new Dictionary<string, Func<string[], Task<int>>>(StringComparer.Ordinal)
{
    ["assign"] = AssignBenchmark.RunAsync,
    ["decide"] = DecideBenchmark.RunAsync,
    ["exactness"] = IndexBenchmark.ExactnessAsync,
    ["index"] = IndexBenchmark.RunAsync,
    ["pipeline"] = PipelineBenchmark.RunAsync,
    ["replay"] = ReplayBenchmark.RunAsync,
    ["replicas"] = ReplicasBenchmark.RunAsync,
    ["rest"] = RestBenchmark.RunAsync,
    ["surge"] = SurgeBenchmark.RunAsync,
};

var name = args.FirstOrDefault(argument => !argument.StartsWith('-'));
if (name is null)
{
    Console.WriteLine("Benchmarks:");
    foreach (var known in benchmarks.Keys.Order(StringComparer.Ordinal)) Console.WriteLine($"  {known}");
    return 0;
}

// Started by a benchmark as a process of its own.
if (name == PostGisPeer.Verb) return await PostGisPeer.RunAsync();

if (!benchmarks.TryGetValue(name, out var run))
{
    Console.Error.WriteLine($"There is no benchmark \"{name}\"; without a name they are listed.");
    return 2;
}

try
{
    return await run([.. args.Where(argument => argument != name)]);
}
catch (BadUsageException bad)
{
    Console.Error.WriteLine(bad.Message);
    return 2;
}
