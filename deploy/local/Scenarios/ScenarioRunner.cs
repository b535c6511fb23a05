using Huzhu.Local.Verbs;

namespace Huzhu.Local.Scenarios;

public static class ScenarioRunner
{
    /// <returns>An exit code of <see cref="ExitCodes"/>.</returns>
    public static Task<int> RunAsync(DemoOptions options, CancellationToken cancellation) => throw new NotImplementedException();
}
