namespace Huzhu.TestKit;

/// <summary>
/// Samples that nobody here wrote, in the folder <c>shared/data</c> beside the project (or beside one of the folders that it
/// lies in). They are not part of the repository: a test that needs them is skipped where they are absent, and says so.
/// </summary>
public static class PublicData
{
    public static string Folder(string name)
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            var path = Path.Combine(folder.FullName, "shared", "data", name);
            if (Directory.Exists(path))
                return path;
        }
        // The token by which xunit knows a test that skips itself; its Assert is not referenced here.
        throw new InvalidOperationException($"$XunitDynamicSkip$The public samples shared/data/{name} are not beside the project: this test needs them.");
    }
}
